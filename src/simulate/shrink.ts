import type { InvariantName } from "./invariants/invariant.ts";
import { runStory, type RunOptions } from "./run-story.ts";
import type { Story, Traits } from "./story.ts";

/** Most runs that shrinking takes. */
const mostRuns = 600;

const plainTraits: Traits = {
  startMs: 5,
  readyMs: 20,
  latencyMs: 10,
  capacity: 20,
  errorPercent: 0,
  exitMs: null,
  endsOnTerm: true,
};

/**
 * Cuts a story down for as long as it breaks the same invariant: what came after it, acts and faults one by one, what is
 * odd about contents.
 *
 * @param options as the story was run
 * @returns the story as it is, where it breaks nothing when it is told to its end
 */
export async function shrink(story: Story, invariant: InvariantName, options: RunOptions = {}): Promise<Story> {
  let runs = 0;
  const breaks = async (candidate: Story): Promise<boolean> => {
    runs += 1;
    const { violation } = await runStory(candidate, { ...options, whole: true, tells: false });
    return violation?.invariant === invariant;
  };
  const { begun } = await runStory(story, { ...options, tells: false });
  const upTo = (acts: number): Story => {
    return { ...story, acts: story.acts.slice(0, acts), faults: story.faults.slice(0, begun.faults) };
  };
  let best = upTo(begun.acts);
  // Where it came to its end before it was told, there has to be something that is still to come: nothing goes wrong after that.
  if (!(await breaks(best))) best = upTo(begun.acts + 1);
  if (!(await breaks(best))) return story;

  async function cut<Item>(items: readonly Item[], put: (items: readonly Item[]) => Story): Promise<void> {
    let left = items;
    for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < left.length && runs < mostRuns;) {
        const fewer = [...left.slice(0, at), ...left.slice(at + size)];
        const candidate = put(fewer);
        if (await breaks(candidate)) [left, best] = [fewer, candidate];
        else at += size;
      }
    }
  }

  // What one cut leaves without use the next one takes away.
  for (let before = Infinity; before > sizeOf(best) && runs < mostRuns;) {
    before = sizeOf(best);
    await cut(best.faults, (faults) => ({ ...best, faults }));
    await cut(best.acts, (acts) => ({ ...best, acts }));
  }
  for (const index of best.contents.keys()) {
    const candidate = { ...best, contents: best.contents.map((traits, at) => (at === index ? plainTraits : traits)) };
    if (runs < mostRuns && (await breaks(candidate))) best = candidate;
  }
  return best;
}

const sizeOf = ({ acts, faults }: Story): number => acts.length + faults.length;
