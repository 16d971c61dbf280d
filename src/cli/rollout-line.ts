import { setTimeout as sleep } from "node:timers/promises";
import type { StatusReport } from "../model/api/status.ts";
import { progressText } from "../render/rollout.ts";
import type { Context } from "./context.ts";
import type { Target } from "./project.ts";

const everyMs = 1_000;
/** Where nothing can be drawn over, a rollout that stands still says so as often. */
const repeatMs = 30_000;

/**
 * Shows how far a rollout by steps is, for as long as somebody waits for it: step, share, instances, what is left of a
 * hold. On a terminal each second, elsewhere as a line now and then. A rollout that is over within a second is not asked
 * about. @returns what ends it
 */
export function showRollout({ client, output, signal }: Context, { app, environment }: Target): () => void {
  const end = new AbortController();
  const ended = AbortSignal.any([signal, end.signal]);
  const look = async (): Promise<string> => {
    const { environments } = await client.get<StatusReport>("/v1/status", { app, environment }, ended);
    const rollout = environments[0]?.rollout ?? null;
    return rollout === null || (rollout.step === 0 && rollout.paused === null)
      ? ""
      : `  v${rollout.release}: ${progressText(rollout)}`;
  };
  const show = async (): Promise<void> => {
    let notedAt = performance.now();
    for (;;) {
      await sleep(everyMs, undefined, { signal: ended });
      // A daemon that is away is told of by whoever waits for its answer.
      const text = await look().catch(() => "");
      if (ended.aborted) return;
      output.live(text);
      if (output.isLive || text === "" || performance.now() - notedAt < repeatMs) continue;
      notedAt = performance.now();
      output.note(output.paint.dim(text));
    }
  };
  show().catch(() => {});
  return () => {
    end.abort();
    output.live("");
  };
}
