import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { launcher } from "../lib/bronze.ts";
import { round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { needs, require } from "../lib/packages.ts";
import { attempt, run } from "../lib/process.ts";
import { randomFrom } from "../lib/random.ts";

const defaultRuns = 20;
const examples = join(import.meta.dirname, "..", "..", "examples");

/** A project that is built, then taken away, and made again from what its build left. */
interface Case {
  readonly name: string;
  readonly folder: string;
  /** Whether its files are those of a commit, which is then looked for in a clone. */
  readonly isCommitted: boolean;
}

/**
 * Builds the examples and so many projects that are made up, takes the projects away and makes each artifact again: the share of
 * those that came out the same to the bit.
 */
export async function rebuild({ runs = defaultRuns, say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-rebuild-"));
  const env = { ...process.env, BRONZE_STATE: join(folder, "state"), NO_COLOR: "1" };
  const bronze = (args: readonly string[], cwd: string): Promise<string> => run(launcher, args, { cwd, env });
  try {
    const cases = [
      ...(await exampleCases(folder)),
      ...(await Promise.all(
        Array.from({ length: runs }, (_, seed) => makeCase(seed + 1, join(folder, `made-${seed}`))),
      )),
    ];
    say(`rebuild: ${cases.length} projects`);
    const notes: string[] = [];
    let made = 0;
    let same = 0;
    for (const { name, folder: project, isCommitted } of cases) {
      const digests = digestsOf(await bronze(["build", "--json"], project));
      const clone = join(folder, "clone");
      if (isCommitted) await run("git", ["clone", "--quiet", project, clone]);
      await rm(project, { recursive: true, force: true });
      for (const digest of digests) {
        made += 1;
        const source = isCommitted ? ["--source", clone] : [];
        const result = await bronze(["rebuild", digest, "--json", ...source], folder).catch((error: unknown) =>
          String(error),
        );
        if (result.includes('"identical":true')) same += 1;
        else notes.push(`rebuild: ${name}: ${result.slice(-600)}`);
      }
      await rm(clone, { recursive: true, force: true });
    }
    const value = round((100 * same) / made);
    return {
      figures: [{ name: "rebuild_identical_pct", value, unit: "%", runs: made, goal: { atLeast: 100 } }],
      notes,
    };
  } finally {
    await attempt(launcher, ["down", "--all"], { env });
    await rm(folder, { recursive: true, force: true });
  }
}

function digestsOf(json: string): readonly string[] {
  const built = JSON.parse(json.trim().split("\n").at(-1) ?? "") as { digest: string } | readonly { digest: string }[];
  return [built].flat().map(({ digest }) => digest);
}

async function exampleCases(folder: string): Promise<readonly Case[]> {
  const cases: Case[] = [];
  for (const name of (await readdir(examples)).sort()) {
    const project = join(folder, name);
    if (!(await readdir(join(examples, name))).includes("bronze.yaml")) continue;
    await cp(join(examples, name), project, { recursive: true });
    await commit(project);
    // Their lock is written by the build, which leaves the commit as it is.
    cases.push({ name, folder: project, isCommitted: true });
  }
  return cases;
}

/** A project that follows from a number: stages, copies of all kinds, steps with and without network, links, arguments. */
async function makeCase(seed: number, project: string): Promise<Case> {
  const random = randomFrom(seed * 7919);
  const chance = (percent: number): boolean => random(100) < percent;
  const write = async (path: string, content: string | Buffer, mode = 0o644): Promise<void> => {
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), content, { mode });
  };
  await mkdir(project);
  await cp(needs.busybox.path, join(project, "busybox"));
  const files = 3 + random(40);
  for (let file = 0; file < files; file += 1)
    await write(
      `src/part-${random(4)}/file-${file}${chance(10) ? " ö" : ""}.txt`,
      "x".repeat(random(5000)),
      chance(20) ? 0o755 : 0o644,
    );
  if (chance(50)) await symlink("part-0", join(project, "src/link"));
  if (chance(30)) await mkdir(join(project, "src/empty"));
  if (chance(40)) await write(".dockerignore", "*.log\nsrc/part-3\n!src/part-3/file-1.txt\n");
  const shell = ["COPY busybox /bin/busybox", "COPY busybox /bin/sh"];
  const step = (): string =>
    [
      `RUN busybox find /app -type f | busybox sort | busybox sha256sum > /sum-${random(1000)}`,
      `RUN busybox mkdir -p /made/${random(1000)} && busybox ln -s /app /made/to-${random(1000)}`,
      `RUN --network=none busybox echo $LEVEL > /level-${random(1000)}`,
      `RUN --mount=type=bind,source=src,target=/in busybox ls -R /in > /list-${random(1000)}`,
      `RUN busybox wget -q -O /dev/null http://10.255.255.1/ & busybox sleep 0.2; busybox date +%N > /date-${random(1000)}`,
    ][random(5)] ?? "";
  const steps = (): readonly string[] => Array.from({ length: random(4) }, step);
  const body = ["FROM scratch AS build", ...shell, "ARG LEVEL=1", "WORKDIR /app", "COPY src ./src", ...steps()];
  const lines = chance(50)
    ? [
        ...body,
        "FROM scratch",
        ...shell,
        "ARG LEVEL=2",
        "WORKDIR /app",
        "COPY --from=build /app /app",
        "COPY --chown=5:6 src/part-* /parts/",
        ...steps(),
      ]
    : [...body, chance(50) ? "COPY . /all" : "ADD src /added", "ENV A=$LEVEL", "USER 65532"];
  await write("Dockerfile", `${lines.join("\n")}\nCMD ["/bin/sh"]\n`);
  const compress = chance(30) ? `, compress: ${chance(50) ? "gzip" : "zstd"}` : "";
  const args = chance(40) ? ", args: { LEVEL: nine }" : "";
  await write("bronze.yaml", `app: made\nbuild: { dockerfile: Dockerfile${compress}${args} }\n`);
  const isCommitted = chance(50);
  if (isCommitted || chance(50)) await commit(project);
  if (!isCommitted) await write("src/part-0/not-committed.txt", String(seed));
  return { name: `project ${seed}`, folder: project, isCommitted };
}

async function commit(folder: string): Promise<void> {
  const git = (...args: readonly string[]): Promise<string> =>
    run("git", ["-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@localhost", ...args]);
  await git("init", "--quiet");
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "all of it");
}
