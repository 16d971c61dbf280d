import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { OperatorError } from "../errors/operator-error.ts";

/** How long `down` waits for the answers of what it ended, in ms. */
const mostWaitMs = 1_000;

/** What clients have asked the daemon to do: it does not end while it works on something, nor takes anything when it ends. */
export interface Works {
  /** Whether anything but `down` is worked on; what was just ended has a moment to say so. */
  anyLeft(): Promise<boolean>;
  /** Takes no requests from now on. */
  refuse(): void;
}

export function watchWorks(app: FastifyInstance): Works {
  let open = 0;
  let ends = false;
  app.addHook("onRequest", async (request, reply) => {
    if (ends) {
      throw new OperatorError("DAEMON_UNREACHABLE", "Cannot take the request: nothing is up, and the daemon ends", {
        hint: "`bronze up` starts it again",
      });
    }
    if (request.method !== "POST" || request.url === "/v1/down") return;
    open += 1;
    reply.raw.once("close", () => (open -= 1));
  });
  return {
    async anyLeft() {
      for (let waitedMs = 0; open > 0 && waitedMs < mostWaitMs; waitedMs += 10) await sleep(10);
      return open > 0;
    },
    refuse: () => (ends = true),
  };
}
