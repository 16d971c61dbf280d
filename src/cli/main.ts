import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../../dist/cache"));
// Nothing is left to be done then; taking everything down in order would take longer than ending.
process.once("beforeExit", () => process.exit());
const argv = process.argv.slice(2);
// Builds are many and short: what they need is a bundle of its own, in one file.
const { run } = argv[0] === "build" ? await import("./run-build.ts") : await import("./run.ts");
process.exitCode = await run(argv);
