import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "./clients.ts";
import { kinds, type Kind, type LoadConfig, type LoadReport } from "./protocol.ts";
import { Tally } from "./tally.ts";

export interface RunningLoad {
  /** Resolves when every client has had its first answer or failure. */
  readonly warm: Promise<void>;
  /** Reports what was counted and begins anew; requests that are open count when they end. */
  window(): LoadReport;
  /** Resolves when every request that is open now has ended: nobody waits for what served before. */
  settle(): Promise<void>;
  /** Notes how many requests are open now; tells also how many have ended in this window. */
  mark(): { readonly open: number; readonly ended: number };
  /** Lets every open request end, then reports. */
  stop(): Promise<LoadReport>;
}

/** Starts all clients of a load in this process. */
export function runLoad(config: LoadConfig): RunningLoad {
  let tally = new Tally(0);
  let stopping = false;
  const sampler = setInterval(() => tally.sample(), 5);
  const open = new Set<Promise<void>>();
  const firsts: Promise<void>[] = [];
  const loops: Promise<void>[] = [];
  const work = async (kind: Kind, number: number, of: number, first: () => void) => {
    const client = createClient(kind, config);
    // Spread over a second at most, so that lasting requests do not all end in the same moment.
    await sleep((Math.min(1000, lastingOf(kind, config)) * number) / of);
    while (!stopping) {
      const startedAt = performance.now();
      tally.begin();
      const { promise, resolve: ended } = Promise.withResolvers<void>();
      open.add(promise);
      const done = await client.ask();
      tally.end(kind, done, performance.now() - startedAt);
      open.delete(promise);
      ended();
      first();
      const pauseMs = config.pauseMs[kind] ?? (done.fault === undefined ? 0 : 5);
      if (pauseMs > 0) await sleep(pauseMs);
    }
    client.close();
    first();
  };
  for (const kind of kinds) {
    const count = config.clients[kind] ?? 0;
    for (let number = 0; number < count; number += 1) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // Lasting requests would make the warm-up as long as they are; being under way is enough.
      if (kind === "stream" || kind === "websocket") resolve();
      firsts.push(promise);
      loops.push(work(kind, number, count, resolve));
    }
  }
  return {
    warm: Promise.all(firsts).then(() => {}),
    window: () => {
      const report = tally.report();
      tally = new Tally(tally.open);
      return report;
    },
    settle: async () => void (await Promise.all(open)),
    mark: () => {
      tally.mark();
      return { open: tally.open, ended: tally.ended };
    },
    stop: async () => {
      stopping = true;
      clearInterval(sampler);
      await Promise.all(loops);
      return tally.report();
    },
  };
}

function lastingOf(kind: Kind, config: LoadConfig): number {
  if (kind === "stream" || kind === "websocket") return config.lastingMs;
  return kind === "slow response" ? 400 : 50;
}
