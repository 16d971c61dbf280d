import { canonicalJson, sha256, type Digest, type Json } from "./canonical.ts";

/** A command in a one-off instance of an artifact alone, without config and secrets, before it may be released. */
export interface TestTask {
  readonly run: readonly string[];
  /** Longest time it may take, in ms. */
  readonly deadlineMs: number;
  /** Variables besides the image's own. */
  readonly env: { readonly [name: string]: string };
}

/** What is asked of a new content in its environment before it gets traffic. */
export type Check =
  /** A command in a one-off instance of the content; it finds one of the new instances at `BRONZE_PREVIEW_URL`. */
  | { readonly kind: "run"; readonly run: readonly string[]; readonly deadlineMs: number }
  /** One GET to one of the new instances. */
  | {
      readonly kind: "path";
      readonly path: string;
      /** The status that is wanted; null: any 2xx. */
      readonly status: number | null;
    };

/** How a task came to its end. `lost`: nobody saw it, as at a power cut. */
export type TaskEnd = "exited" | "timed out" | "stopped" | "lost" | "not started";

/** Time that a task gets whose definition names none, in ms. */
export const defaultTaskDeadlineMs = 300_000;

/** Names a list of tests: an artifact that passed these very tests need not pass them again. */
export function testsDigest(tests: readonly TestTask[]): Digest {
  return sha256(canonicalJson(tests as unknown as Json));
}

/** Says which release commands going back does not undo. @param releases at least one */
export function leftText(releases: readonly number[]): string {
  const commands = `${releases.map((number) => `v${number}'s`).join(" and ")} release ${releases.length === 1 ? "command" : "commands"}`;
  return `what ${commands} did stays: ${releases.length === 1 ? "it is" : "they are"} not reversible`;
}

/** A command as one line that people read; not meant for a shell. */
export function commandText(command: readonly string[]): string {
  const text = command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
