import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { capText } from "./text.ts";

/** What `init` looks at in a folder. */
export interface Folder {
  /** Its own name. */
  readonly name: string;
  /** Names at its top, sorted; folders end in "/". */
  readonly entries: readonly string[];
  /** Text of a file in it, or undefined; at most 1 MB is read. */
  read(name: string): string | undefined;
  /** Whether a path is a file with an index page. */
  hasFile(path: string): boolean;
}

export function openFolder(path: string): Folder {
  const entries = readdirSync(path, { withFileTypes: true }).map((entry) =>
    entry.isDirectory() ? `${entry.name}/` : entry.name,
  );
  const read = (name: string): string | undefined => {
    try {
      return capText(readFileSync(join(path, name)));
    } catch {
      return undefined;
    }
  };
  return { name: basename(path), entries: entries.toSorted(), read, hasFile: (name) => read(name) !== undefined };
}
