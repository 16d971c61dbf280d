import { join } from "node:path";
import { Executions, withExecutions } from "../../load/executions.ts";
import { startLoad, startProbe, type Load, type Probe } from "../../load/process.ts";
import { defaultLoad, kinds, type LoadReport } from "../../load/protocol.ts";

/** The clients of the demo, all of which run from before the first rollout to after the last. */
export interface Traffic {
  /** Everything that was asked while `change` ran, and until what served before had no request left. */
  during(change: () => Promise<void>): Promise<LoadReport>;
  /** Ends the clients; returns what failed after the last rollout. */
  stop(): Promise<LoadReport>;
  kill(): void;
}

const main = join(import.meta.dirname, "../../load/main.ts");

/** A line that says who asks. */
export const trafficText = `36 clients that never retry: ${kinds.join(", ")}`;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** @param logs where the instances' output is: it tells how often an upload was executed */
export async function startTraffic(address: Address, logs: string): Promise<Traffic> {
  const load: Load = await startLoad(main, {
    ...defaultLoad,
    ...address,
    hostHeader: "shop.example",
    clients: { "keep-alive": 12, "new connection": 4, "slow response": 6, upload: 2, stream: 6, websocket: 6 },
    pauseMs: { "keep-alive": 8, "new connection": 20, upload: 50 },
    lastingMs: 750,
  });
  const executions = new Executions(logs);
  const check = async (report: LoadReport): Promise<LoadReport> => {
    await executions.scan();
    // An instance's last line may still be on its way to the log.
    if (executions.wrong(report).never > 0) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      await executions.scan();
    }
    return withExecutions(report, executions.wrong(report));
  };
  return {
    during: async (change) => {
      await load.window();
      await change();
      await load.settle();
      return await check(await load.window());
    },
    stop: async () => check(await load.stop()),
    kill: load.kill,
  };
}

/** Asks 2,000 times a second and more which version answers. */
export function startVersionProbe(address: Address): Promise<Probe> {
  const contents = ["x-version: 1", "x-version: 2"];
  return startProbe(main, {
    ...address,
    hostHeader: "shop.example",
    path: "/",
    connections: 8,
    everyMs: 2.5,
    contents,
  });
}
