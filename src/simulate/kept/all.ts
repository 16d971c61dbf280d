import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Story } from "../story.ts";
import type { Timings } from "../timings.ts";

/** A story that once found a bug, cut down to what it takes. */
export interface KeptStory {
  /** The bug, in one sentence. */
  readonly found: string;
  readonly story: Story;
  /** Times of a real run, where it takes those; absent: the story's own. */
  readonly timings?: Timings;
}

/** All that are kept, one JSON file each, by name. */
export const keptStories: readonly KeptStory[] = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .map((name) => JSON.parse(readFileSync(join(import.meta.dirname, name), "utf8")) as KeptStory);
