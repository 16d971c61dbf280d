/** How many blobs of an image are on their way at the same time. */
const atOnce = 4;

/**
 * Works on all items, some at the same time; the first failure ends the others.
 *
 * @throws the first failure, after all have ended
 */
export async function inParallel<Item>(
  items: readonly Item[],
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const first = new AbortController();
  const either = AbortSignal.any([signal, first.signal]);
  const waiting = [...items];
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined && failure === undefined; item = waiting.shift()) {
      try {
        await work(item, either);
      } catch (error) {
        failure ??= { error };
        first.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
}
