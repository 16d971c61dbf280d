import { sha256 } from "../../model/canonical.ts";
import type { ProbeTarget } from "../../ports/prober.ts";
import { proberSuite } from "../../ports/prober.suite.ts";
import { suiteSet, web } from "../../ports/runtime.suite.ts";
import { createVirtualClock } from "./clock.ts";
import { createMemoryMachine, type Behaviour } from "./runtime.ts";

proberSuite("prober of createMemoryMachine()", () => {
  const clock = createVirtualClock();
  const machine = createMemoryMachine({ clock });
  let release = 0;
  async function started(behaviour: Partial<Behaviour>): Promise<ProbeTarget> {
    release += 1;
    const set = suiteSet(sha256("app"), { drainMs: release }, release);
    machine.behave(behaviour, set.digest);
    await machine.runtime().ensure(set, web(1, 1), new AbortController().signal);
    const [last] = [...machine.instances()].slice(-1);
    return { address: last?.seen.address ?? "", port: set.content.settings.port, path: "/healthz" };
  }
  return {
    prober: machine.prober(),
    answering: (status) => started({ status }),
    async silent() {
      const target = await started({});
      for (const { seen } of machine.instances()) if (seen.address === target.address) machine.answer(seen.name, null);
      return target;
    },
    deaf: () => started({ readyMs: null }),
    async whileTimePasses(ms, result) {
      await clock.advance(ms);
      return result;
    },
  };
});
