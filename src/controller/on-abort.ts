/** Who waits for a signal is kept by the signal itself: what a `WeakMap` has come to keep stays until all memory is collected. */
const waiting = Symbol("waiting");

interface Awaited extends AbortSignal {
  [waiting]?: Set<() => void>;
}

/**
 * Calls back when a signal is aborted: by one listener of the signal for all, as its own list is searched from end to end.
 *
 * @returns the way to take it back
 */
export function onAbort(signal: Awaited, callback: () => void): () => void {
  let callbacks = signal[waiting];
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    signal[waiting] = callbacks = all;
    signal.addEventListener("abort", () => all.forEach((one) => one()), { once: true });
  }
  const own = callbacks;
  own.add(callback);
  return () => void own.delete(callback);
}
