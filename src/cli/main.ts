import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../../dist/cache"));
// Nothing is left to be done then; taking everything down in order would take longer than ending.
process.once("beforeExit", () => process.exit());
const argv = process.argv.slice(2);
// What somebody waits for and is over in a moment has a bundle of its own, in one file.
const [name, ...rest] = argv;
process.exitCode =
  name === "build"
    ? await (await import("./run-build.ts")).run(argv)
    : name === "rollback" || name === "status"
      ? await (await import("./run-quick.ts")).run([name, ...rest])
      : name === "scan" || name === "verify"
        ? await (await import("./run-evidence.ts")).run([name, ...rest])
        : await (await import("./run.ts")).run(argv);
