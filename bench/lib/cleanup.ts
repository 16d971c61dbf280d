/** What must still be ended when a bench is interrupted, newest first. */
const pending: (() => Promise<void>)[] = [];

/** Makes sure that `stop` runs once: when called, or at the interruption. */
export function stopsOnce(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  const once = () => (stopped ??= stop());
  pending.unshift(once);
  return once;
}

let stopping: Promise<void> | undefined;

/** Ends everything that was not ended yet; however often it is asked for, npm passes on what the terminal sends as well. */
export function stopAll(): Promise<void> {
  return (stopping ??= (async () => {
    for (const stop of pending.splice(0)) await stop().catch((error: unknown) => console.error(error));
  })());
}
