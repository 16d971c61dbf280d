import { sha256 } from "../../model/canonical.ts";
import { runtimeSuite, suiteSet } from "../../ports/runtime.suite.ts";
import { createVirtualClock } from "./clock.ts";
import { createMemoryMachine } from "./runtime.ts";

runtimeSuite("memory runtime", async () => {
  const lacking = sha256("nothing");
  const artifact = sha256("app");
  const clock = createVirtualClock();
  const machine = createMemoryMachine({ clock, lacks: new Set([lacking]) });
  const failing = { command: ["/no/such/program"] };
  machine.behave({ failure: "no such program" }, suiteSet(artifact, failing, 2).digest);
  machine.behaveTask("endless", { exitMs: null });
  return {
    runtime: machine.runtime(),
    artifact,
    lacking,
    failing,
    task(line, code) {
      machine.behaveTask(`${line} ${code}`, { exitMs: 0, code, output: [line] });
      return [line, String(code)];
    },
    endless: ["endless"],
    crash: async ({ name }) => machine.exit(name, 137),
    orphan: async ({ name }) => machine.orphan(name),
    resolve: async (name, app) => machine.resolve(name, app),
    leave: () => async () => machine.runtime(),
    end: async () => {},
  };
});
