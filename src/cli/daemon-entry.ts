/** The daemon's own program: `daemon.js --state DIR [--http-host HOST] [--http-port PORT]`. */
import { parseArgs } from "node:util";
import { serveDaemon } from "./serve-daemon.ts";

const { values } = parseArgs({
  options: { state: { type: "string" }, "http-host": { type: "string" }, "http-port": { type: "string" } },
});
try {
  await serveDaemon({ state: values.state, httpHost: values["http-host"], httpPort: values["http-port"] });
  process.exit(0);
} catch (thrown) {
  const { asOperatorError } = await import("../errors/operator-error.ts");
  const error = asOperatorError(thrown);
  // Into the log, in its own form: who started this reads it there.
  const line = { level: 60, time: Date.now(), error: error.toJSON(), msg: "the daemon ends" };
  process.stderr.write(`${JSON.stringify(line)}\n`);
  process.exit(error.exitStatus);
}
