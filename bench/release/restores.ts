import { createHash, randomBytes } from "node:crypto";
import { startLoad } from "../../src/load/process.ts";
import { defaultLoad } from "../../src/load/protocol.ts";
import type { Digest } from "../../src/model/canonical.ts";
import { parseSecretName } from "../../src/model/secret.ts";
import { loadMain, nodeProject, startBronze, type Asked, type Bronze } from "../lib/bronze.ts";
import { randomFrom } from "../lib/random.ts";
import type { BenchOptions, BenchResult } from "../lib/figures.ts";
import { nodeCopies } from "../rollback/pair.ts";
import { filesWith, formsOf, watchProcesses } from "../../test/support/canaries.ts";
import { get } from "../../test/support/bronze.ts";

const sequences = 50;
const instances = 2;
/** Changes between two rollbacks. */
const mostChanges = 3;
const seed = 20261121;
const variables = ["LOG_LEVEL", "GREETING", "LIMIT"];
/** Looks on connections of their own after each release. */
const looks = 12;

/** What an instance says of itself: its code, its config and the digest of its secret. */
interface ReadBack {
  readonly code: string;
  readonly config: Readonly<Record<string, string>>;
  readonly secret: string;
}

/** The app reads all it was given when it starts, and tells it in every answer. */
const behaviour = (version: string): string => `import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
export const version = "${version}";
const secret = createHash("sha512").update(readFileSync("/run/secrets/TOKEN")).digest("hex");
const given = (name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]);
const config = Object.fromEntries(${JSON.stringify(variables)}.flatMap(given));
export const greeting = JSON.stringify({ code: version, config, secret });
export const healthy = () => true;
export const mayAnswer = () => true;
`;

/**
 * Random sequences of changed code, config and secrets under load, each followed by a rollback to a random proven
 * release: whether what instances read then is that release, whole.
 */
export async function restores({ runs = sequences, say }: BenchOptions): Promise<BenchResult> {
  say("building three versions of an app");
  const bronze = await startBronze();
  try {
    const codes: (readonly [string, Digest])[] = [];
    for (const version of ["1", "2", "3"]) {
      const files = { ...nodeProject(version), "behaviour.js": behaviour(version) };
      codes.push([version, await bronze.build(`node-${version}`, files, nodeCopies)]);
    }
    return await play(bronze, codes, runs, say);
  } finally {
    await bronze.stop();
  }
}

async function play(
  bronze: Bronze,
  codes: readonly (readonly [string, Digest])[],
  runs: number,
  say: (text: string) => void,
): Promise<BenchResult> {
  const random = randomFrom(seed);
  const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
  // All known beforehand, for those who look for them from the start.
  const canaries = Array.from({ length: 1 + runs * mostChanges }, () => `canary-${randomBytes(16).toString("hex")}`);
  let used = 0;
  const newValue = (): string => canaries[used++] ?? "";
  const rotate = async (): Promise<string> => {
    const value = newValue();
    await bronze.cliWith(value, "secret", "rotate", "TOKEN", "--app", "shop", "-e", "production");
    return digestOf(value);
  };
  const deploy = (artifact: Digest, value?: string): Promise<Asked> => {
    const secret = {
      name: parseSecretName("TOKEN"),
      variable: false,
      ...(value === undefined ? {} : { value: Buffer.from(value).toString("base64") }),
    };
    return bronze.deploy(artifact, {}, { instances }, { secrets: [secret] });
  };
  /** What each release is, as it was asked for. */
  const expected = new Map<number, ReadBack>();
  const [first] = codes;
  if (first === undefined) throw new Error("no version of the app was built");
  const value = newValue();
  let newest = digestOf(value);
  let now: ReadBack = { code: first[0], config: {}, secret: newest };
  let { release } = (await deploy(first[1], value)).result;
  expected.set(release, now);
  const ends: (() => void)[] = [];
  const watch = watchProcesses({ after: (end) => void ends.push(end as () => void) }, formsOf(canaries), (command) =>
    command.includes(" secret "),
  );
  const load = await startLoad(loadMain, {
    ...defaultLoad,
    ...bronze.address,
    hostHeader: "bench",
    clients: { "keep-alive": 4, "new connection": 2, "slow response": 4, upload: 1 },
    pauseMs: { "keep-alive": 10, "new connection": 20, upload: 50 },
  });
  try {
    let releases = 0;
    let rollbacks = 0;
    const wrong: string[] = [];
    const look = async (what: string): Promise<void> => {
      const wanted = JSON.stringify(now);
      const other = (await readBack(bronze)).map((told) => JSON.stringify(told)).find((told) => told !== wanted);
      if (other !== undefined) wrong.push(`after ${what}: instances read ${other}, v${release} is ${wanted}`);
    };
    say(`${runs} sequences, each ended by a rollback`);
    for (let i = 0; i < runs; i += 1) {
      for (let changes = 1 + random(mostChanges); changes > 0; changes -= 1) {
        const kind = pick(["code", "config", "secret"]);
        if (kind === "code") {
          const [code, artifact] = pick(codes);
          release = (await deploy(artifact)).result.release;
          // A deploy takes the newest version of each secret, whatever a rollback went back to.
          now = { ...now, code, secret: newest };
        } else if (kind === "config") {
          const name = pick(variables);
          const value = `${name.toLowerCase()} ${i}.${changes}`;
          release = (await bronze.config({ [name]: value })).result.release;
          now = { ...now, config: sorted({ ...now.config, [name]: value }) };
        } else {
          newest = await rotate();
          now = { ...now, secret: newest };
          release = (await bronze.status()).live?.release ?? 0;
        }
        expected.set(release, now);
        releases += 1;
        await look(`a change of ${kind}`);
      }
      const others = [...expected.keys()].filter((number) => number !== release);
      if (others.length === 0) continue;
      const target = pick(others);
      now = expected.get(target) ?? now;
      release = (await bronze.rollback(target)).result.release;
      expected.set(release, now);
      await look(`a rollback to v${target}`);
      rollbacks += 1;
      if ((i + 1) % 10 === 0) say(`${i + 1} sequences, ${releases} releases, ${wrong.length} read back wrongly`);
    }
    const report = await load.stop();
    const { state, run, log } = bronze.places;
    const found = [...watch.stop(), ...filesWith(formsOf(canaries), [state, run, log])];
    const steps = releases + rollbacks;
    const share = (100 * (steps - wrong.length)) / steps;
    return {
      figures: [
        { name: "rollback_restores", value: share, unit: "%", runs: rollbacks, goal: { atLeast: 100 } },
        { name: "failed_requests", value: report.failed, unit: "requests", runs: 1, goal: { atMost: 0 } },
        {
          name: "secret_canaries_found",
          value: found.length,
          unit: "places",
          runs: used,
          goal: { atMost: 0 },
        },
      ],
      notes: [
        `${releases} changes and ${rollbacks} rollbacks, ${report.requests} requests, ${used} secret values`,
        ...wrong.slice(0, 10),
        ...found.slice(0, 10),
        ...report.examples,
      ],
      failed: wrong.length > 0 || report.failed > 0 || found.length > 0,
    };
  } finally {
    for (const end of ends) end();
    load.kill();
  }
}

/** What the instances of the live content say, each asked more than once. */
async function readBack({ ping }: Bronze): Promise<readonly ReadBack[]> {
  const answers = await Promise.all(Array.from({ length: looks }, () => get(`${ping.url}/`, { host: "bench" })));
  return answers.map(({ body }) => JSON.parse(body.split("\n")[0] ?? "") as ReadBack);
}

/** As the app tells it, which no file holds. */
function digestOf(value: string): string {
  return createHash("sha512").update(value).digest("hex");
}

function sorted(config: ReadBack["config"]): ReadBack["config"] {
  return Object.fromEntries(variables.flatMap((name) => (config[name] === undefined ? [] : [[name, config[name]]])));
}
