import { setTimeout as sleep } from "node:timers/promises";
import { headerOf } from "../../src/load/answer.ts";
import { KeptConnection } from "../../src/load/exchange.ts";

/** What requests to one version came to. */
export interface Answered {
  readonly requests: number;
  /** Answered with 5xx, or not at all. */
  readonly failed: number;
}

/** Requests at a rate that does not depend on how fast they are answered. */
export interface PacedLoad {
  /** By `x-version` of the answer; "" where there was none. Errors of the app name no other version than its own. */
  readonly answered: ReadonlyMap<string, Answered>;
  /** Starts counting anew. */
  reset(): void;
  /** What was asked and answered since the last `reset`, per second. */
  rate(): number;
  /** Most requests that were open at the same time. */
  readonly mostOpen: number;
  stop(): Promise<void>;
}

const timeoutMs = 5_000;

export function startPaced(address: { readonly host: string; readonly port: number }, perSecond: number): PacedLoad {
  const request = Buffer.from("GET / HTTP/1.1\r\nhost: bench\r\n\r\n");
  const idle: KeptConnection[] = [];
  const answered = new Map<string, { requests: number; failed: number }>();
  const open = new Set<Promise<void>>();
  let mostOpen = 0;
  let stopping = false;
  let since = performance.now();
  let asked = 0;

  const ask = async (): Promise<void> => {
    const connection = idle.pop() ?? new KeptConnection(address.host, address.port);
    const outcome = await connection.ask(request, { timeoutMs });
    idle.push(connection);
    asked += 1;
    const version = typeof outcome === "string" ? "" : (headerOf(outcome.head, "x-version") ?? "");
    const row = answered.get(version) ?? { requests: 0, failed: 0 };
    row.requests += 1;
    if (typeof outcome === "string" || outcome.status >= 500) row.failed += 1;
    answered.set(version, row);
  };
  const drive = async (): Promise<void> => {
    const begin = performance.now();
    for (let number = 0; !stopping; number += 1) {
      // Behind by a pause of this process, it catches up: the rate is what counts.
      const dueMs = begin + (number * 1_000) / perSecond - performance.now();
      if (dueMs > 1) await sleep(dueMs);
      const one = ask();
      open.add(one);
      mostOpen = Math.max(mostOpen, open.size);
      void one.finally(() => open.delete(one));
    }
  };
  const driving = drive();
  return {
    answered,
    reset: () => {
      answered.clear();
      since = performance.now();
      asked = 0;
    },
    rate: () => (asked * 1_000) / (performance.now() - since),
    get mostOpen() {
      return mostOpen;
    },
    stop: async () => {
      stopping = true;
      await driving;
      await Promise.all(open);
      for (const connection of idle) connection.close();
    },
  };
}
