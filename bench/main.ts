/**
 * `npm run -s bench -- NAME [PART…] [--json] [--runs N]`: measures one of the figures that Bronze promises, both sides in one
 * go. Standard output holds the table or, with `--json`, one object; what is being done goes to standard error.
 */
import { parseArgs } from "node:util";
import { asOperatorError } from "../src/errors/operator-error.ts";
import { renderError } from "../src/render/error.ts";
import { plainPaint } from "../src/render/paint.ts";
import { stopAll } from "./lib/cleanup.ts";
import { renderFigures, type Bench } from "./lib/figures.ts";

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  rollback: async () => (await import("./rollback.ts")).rollbackBench,
  release: async () => (await import("./release.ts")).releaseBench,
  rollout: async () => (await import("./rollout.ts")).rolloutBench,
  deploy: async () => (await import("./deploy.ts")).deployBench,
  start: async () => (await import("./start.ts")).startBench,
  cli: async () => (await import("./cli.ts")).cliBench,
  demo: async () => (await import("./demo.ts")).demoBench,
  daemon: async () => (await import("./daemon.ts")).daemonBench,
  survive: async () => (await import("./survive.ts")).surviveBench,
  crowd: async () => (await import("./crowd.ts")).crowdBench,
  interop: async () => (await import("./interop.ts")).interopBench,
  build: async () => (await import("./build.ts")).buildBench,
  simulate: async () => (await import("./simulate.ts")).simulateBench,
  volume: async () => (await import("./volume.ts")).volumeBench,
  dockerfiles: async () => (await import("./dockerfiles.ts")).dockerfilesBench,
  trust: async () => (await import("./trust.ts")).trustBench,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, runs: { type: "string" } },
});
const [name = "", ...parts] = positionals;
const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
const runs = values.runs === undefined ? undefined : Number(values.runs);
if (load === undefined || (runs !== undefined && !(Number.isInteger(runs) && runs > 0))) {
  console.error(
    `usage: npm run -s bench -- NAME [--json] [--runs N]; NAME is one of ${Object.keys(benches).join(", ")}`,
  );
  process.exitCode = 2;
} else if (process.getuid?.() !== 0) {
  console.error("the benches run instances: run them as root");
  process.exitCode = 11;
} else {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => void stopAll().then(() => process.exit(130)));
  }
  try {
    const bench = await load();
    const result = await bench({
      runs,
      ...(parts.length === 0 ? {} : { parts }),
      say: (text) => console.error(`  ${text}`),
    });
    console.log(
      values.json === true ? JSON.stringify({ bench: name, figures: result.figures }) : renderFigures(name, result),
    );
    process.exitCode = result.failed === true ? 1 : 0;
  } catch (thrown) {
    const error = asOperatorError(thrown);
    console.error(renderError(error, plainPaint));
    if (error.code === "INTERNAL" && thrown instanceof Error) console.error(thrown.stack);
    process.exitCode = error.exitStatus;
  }
  await stopAll();
  // A child that was told to end may take its time; nothing is left to do here.
  process.exit();
}
