import type { BytePath } from "../../image/tar-entry.ts";

/**
 * What becomes of a file that a step left:
 *
 * - `kept`: it is part of the layer;
 * - `aside`: later steps may need it, no image does: package lists and packages, which `apt-get install` in a step after
 *   `apt-get update` wants;
 * - `dropped`: nobody misses it, and it differs from run to run: compiled again, fetched again or written on when wanted;
 * - `emptied`: it must be there, and what is in it names one machine.
 */
export type Fate = "kept" | "aside" | "dropped" | "emptied";

// Each with what would differ in it from run to run. /etc/ld.so.cache stays: it is made of the libraries alone.
const rules: readonly (readonly [pattern: RegExp, fate: Fate])[] = [
  // The archive's state of the day.
  [/^var\/lib\/apt\/lists\/./, "aside"],
  [/^var\/cache\/apt\/archives\/[^/]+\.deb$/, "aside"],
  // Inode numbers and times.
  [/^var\/cache\/apt\/./, "dropped"],
  [/^var\/cache\/ldconfig\/aux-cache$/, "dropped"],
  // Times of running.
  [/^var\/log\/apt\/./, "dropped"],
  [/^var\/log\/(dpkg|alternatives|bootstrap|fontconfig|faillog|lastlog|yum|dnf[^/]*|apk)\.log$/, "dropped"],
  [/^(root|home\/[^/]+)\/\.npm\/(_logs|_update-notifier-last-checked)(\/|$)/, "dropped"],
  // Answers of servers, with their dates.
  [/^(root|home\/[^/]+)\/\.npm\/_cacache(\/|$)/, "dropped"],
  [/^(root|home\/[^/]+)\/\.cache\/pip(\/|$)/, "dropped"],
  // Times of sources, and orders in memory.
  [/(^|\/)__pycache__\/[^/]+\.pyc$/, "dropped"],
  [/^tmp\/(node-compile-cache|v8-compile-cache-[^/]+)(\/|$)/, "dropped"],
  // A random number for one machine.
  [/^etc\/machine-id$/, "emptied"],
  [/^var\/lib\/dbus\/machine-id$/, "dropped"],
];

export function fateOf(path: BytePath): Fate {
  for (const [pattern, fate] of rules) if (pattern.test(path)) return fate;
  return "kept";
}

/** Whether a new folder goes when nothing is left in it: it was made for what is dropped. */
export function goesWhenEmpty(path: BytePath): boolean {
  return path.endsWith("/__pycache__") || path === "__pycache__";
}
