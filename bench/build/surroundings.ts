import { chmod, chown, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** What is different from one build to the next. Each list's length is prime to the others', so that all meet. */
export interface Surroundings {
  readonly node: 24 | 26;
  readonly zone: string;
  readonly language: string;
  readonly umask: string;
  readonly host: string;
  /** Who builds, where nothing needs root; the check-out is theirs. */
  readonly uid: number;
  /** The files as they are, or copied in the opposite order, with other times and modes. */
  readonly copied: boolean;
  /** Where the command is given. */
  readonly from: "project" | "root";
  /** For our own process, in hours. */
  readonly later: number;
}

const zones = ["UTC", "Asia/Kathmandu", "America/St_Johns"];
const languages = ["C", "tr_TR.UTF-8"];
const umasks = ["022", "077", "002", "027", "000"];
const hosts = ["one", "another.example", "x"];
const hours = [0, 26, 24 * 200, 5, 24 * 3000];

export function surroundingsOf(index: number): Surroundings {
  const pick = <Value>(values: readonly Value[], fallback: Value): Value => values[index % values.length] ?? fallback;
  return {
    node: index % 2 === 0 ? 26 : 24,
    zone: pick(zones, "UTC"),
    language: pick(languages, "C"),
    umask: pick(umasks, "022"),
    host: pick(hosts, "one"),
    uid: index % 3 === 2 ? 65_534 : 0,
    copied: index % 4 !== 0,
    from: index % 3 === 1 ? "root" : "project",
    later: pick(hours, 0),
  };
}

export function describeSurroundings(one: Surroundings): string {
  return `Node ${one.node}, ${one.zone}, ${one.language}, umask ${one.umask}, host ${one.host}, uid ${one.uid}, ${one.copied ? "copied files" : "own files"}, from the ${one.from}, +${one.later} h`;
}

/** Gives everything in a folder to a user. */
export async function giveTo(folder: string, uid: number): Promise<void> {
  await chmod(folder, 0o755);
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    if (!(await lstat(path)).isSymbolicLink()) await chown(path, uid, uid);
  }
  await chown(folder, uid, uid);
}
