/** Something to be done for an app, once it is done for those that the app needs. */
export interface OrderedWork {
  readonly app: string;
  readonly needs: readonly string[];
  run(): Promise<void>;
  /** Told instead when one of its needs failed, or was left out itself. */
  leftOut(need: string): void;
}

/**
 * Does work in order of needs, what does not depend on each other at once. Needs that are none of these are taken to be
 * met. Resolves when nothing is under way any more.
 *
 * @param works without circles
 * @throws what the first work to fail threw
 */
export async function inOrderOfNeeds(works: readonly OrderedWork[]): Promise<void> {
  const ends = new Map<string, Promise<boolean>>();
  let failed: { readonly error: unknown } | undefined;
  const done = ({ app, needs, run, leftOut }: OrderedWork): Promise<boolean> => {
    const known = ends.get(app);
    if (known !== undefined) return known;
    const end = (async () => {
      // First of all, so that what it needs finds it begun.
      await Promise.resolve();
      const needed = works.filter((other) => needs.includes(other.app));
      const met = await Promise.all(needed.map(done));
      const missing = needed[met.indexOf(false)];
      if (missing !== undefined) {
        leftOut(missing.app);
        return false;
      }
      try {
        await run();
        return true;
      } catch (error) {
        failed ??= { error };
        return false;
      }
    })();
    ends.set(app, end);
    return end;
  };
  await Promise.all(works.map(done));
  if (failed !== undefined) throw failed.error;
}
