import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../../dist/cache"));
const { run } = await import("./run.ts");
process.exitCode = await run(process.argv.slice(2));
