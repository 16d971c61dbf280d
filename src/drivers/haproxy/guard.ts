import { connect, type Socket } from "node:net";
import type { Clock } from "../../ports/clock.ts";
import type { RouterLayout } from "./layout.ts";

export interface GuardOptions {
  readonly layout: RouterLayout;
  readonly clock: Clock;
  /** HAProxy was started again, as process `pid`. */
  readonly onRestart: (pid: number) => void;
  /** The supervisor ended, or does not answer. Called again after a pause until the supervisor is back. */
  readonly onLost: () => Promise<void>;
}

/** Pause before the supervisor is asked again after one that did not answer, in ms. */
const retryMs = 500;

/**
 * Watches the supervisor over a connection that ends when the supervisor does, so that its death is known at once.
 *
 * @returns the way to stop
 */
export function guardSupervisor(options: GuardOptions): () => void {
  const { layout, clock, onRestart, onLost } = options;
  let stopped = false;
  let socket: Socket | undefined;
  let cancel = (): void => {};
  let knownStarts: number | undefined;

  function watch(): void {
    let text = "";
    socket = connect(layout.control);
    socket.setEncoding("utf8");
    socket.on("error", () => {});
    socket.on("data", (chunk: string) => {
      text += chunk;
      const end = text.lastIndexOf("\n") + 1;
      for (const line of text.slice(0, end).split("\n")) read(line);
      text = text.slice(end).slice(0, 200);
    });
    socket.on("close", () => {
      const watched = knownStarts !== undefined;
      knownStarts = undefined;
      if (stopped) return;
      void onLost()
        .catch(() => {})
        .then(() => {
          if (!stopped) cancel = clock.after(watched ? 0 : retryMs, watch);
        });
    });
    socket.write("watch\n");
  }

  function read(line: string): void {
    const match = /^haproxy=([0-9]+) starts=([0-9]+)$/.exec(line);
    if (match === null) return;
    const starts = Number(match[2]);
    if (knownStarts !== undefined && starts !== knownStarts) onRestart(Number(match[1]));
    knownStarts = starts;
  }

  watch();
  return () => {
    stopped = true;
    cancel();
    socket?.destroy();
  };
}
