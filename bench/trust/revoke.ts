import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildArtifact } from "../../src/build/build.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import type { StreamLine } from "../../src/model/api/asked.ts";
import type { RevokeRequest, RevokeResult } from "../../src/model/api/trust.ts";
import type { Digest } from "../../src/model/canonical.ts";
import { createLocalStore } from "../../src/store/local.ts";
import { staticProject, startBronze, type Bronze } from "../lib/bronze.ts";
import { figure, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { randomFrom } from "../lib/random.ts";

const descendants = 1_000;
/** One in so many is a base of those that come after it. */
const perBase = 10;
const defaultRuns = 20;
/** The builder is asked without evidence, which is measured elsewhere. */
const unsigned = { trust: "off" } as const;

/**
 * From the request to revoke a base with 1,000 descendants to the refusal of a deploy of any of them, each built by the builder:
 * one in ten from the base, the others from one of these. Revoked and lifted again for each run; some of them had been released.
 */
export async function revokeBlock({ runs, say }: BenchOptions): Promise<BenchResult> {
  const bronze = await startBronze("bronze-bench-revoke");
  try {
    say(`building a base and ${descendants} artifacts from it`);
    const base = await bronze.build("base", staticProject("base"), { busybox: "/bin/busybox" });
    const made = await buildAll(bronze, base);
    const random = randomFrom(4);
    for (let i = 0; i < 5; i += 1) await bronze.deploy(made[i * perBase] as Digest, {}, unsigned);
    const values: number[] = [];
    const count = runs ?? defaultRuns;
    let blocked = 0;
    say(`revoking the base, and a deploy, ${count} times`);
    for (let i = 0; i <= count; i += 1) {
      const artifact = made[random(made.length)] as Digest;
      const startedAt = performance.now();
      blocked = (await revoke(bronze, { artifact: base, who: "bench", why: "" })).blocked.length;
      const refused = await bronze.deploy(artifact, {}, unsigned).catch((error: unknown) => error);
      if (!(refused instanceof OperatorError) || refused.code !== "ARTIFACT_REVOKED")
        throw new Error("a deploy of what is blocked was not refused", { cause: refused });
      // The first reads what the disk has not been asked for yet, and counts too.
      values.push(performance.now() - startedAt);
      await revoke(bronze, { artifact: base, who: "bench", why: "", undo: true });
    }
    const slowest = Math.max(...values);
    return {
      figures: [{ ...figure("revoke_block_ms", "ms", 1, values), goal: { atMost: 1_000 } }],
      notes: [
        `the slowest of ${values.length}: ${slowest.toFixed(0)} ms, the first ${values[0]?.toFixed(0)} ms; ${blocked} artifacts told as blocked`,
      ],
      failed: blocked !== descendants,
    };
  } finally {
    await bronze.stop();
  }
}

async function revoke(bronze: Bronze, body: RevokeRequest): Promise<RevokeResult> {
  for await (const line of bronze.client.stream<StreamLine<RevokeResult>>("POST", "/v1/revoke", { body }))
    if (line.kind === "result") return line.result;
  throw new Error("POST /v1/revoke ended without a result");
}

async function buildAll({ places }: Bronze, base: Digest): Promise<readonly Digest[]> {
  const projectDir = join(places.state, "descendants");
  await mkdir(projectDir, { recursive: true });
  const store = createLocalStore(join(places.state, "store"));
  const made: Digest[] = [];
  let from = base;
  for (let i = 0; i < descendants; i += 1) {
    if (i % perBase === 0) from = base;
    await writeFile(join(projectDir, "number"), String(i));
    await writeFile(join(projectDir, "Dockerfile"), `FROM ${from}\nCOPY number /number-${i % perBase}\n`);
    const { digest } = await buildArtifact(
      { kind: "dockerfile", path: "Dockerfile" },
      {
        projectDir,
        store,
        cacheDir: join(places.state, "cache"),
        report: () => {},
        signal: new AbortController().signal,
      },
    );
    if (i % perBase === 0) from = digest;
    made.push(digest);
  }
  return made;
}
