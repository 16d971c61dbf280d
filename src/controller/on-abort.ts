/** Who waits for each signal: one listener of the signal serves them all, as its own list is searched from end to end. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls back when a signal is aborted. @returns the way to take it back */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = waiting.get(signal);
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    waiting.set(signal, (callbacks = all));
    signal.addEventListener("abort", () => all.forEach((one) => one()), { once: true });
  }
  const own = callbacks;
  own.add(callback);
  return () => void own.delete(callback);
}
