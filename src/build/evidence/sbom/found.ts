import type { BytePath } from "../../../image/tar-entry.ts";
import type { MarkedPaths } from "./marks.ts";

/** A Debian package as dpkg's database has it. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly source: string;
  readonly sourceVersion: string;
}

/** A package of a language, as its own files name it. */
export interface LanguagePackage {
  readonly type: "npm" | "pypi" | "golang";
  readonly name: string;
  /** Empty: not said. */
  readonly version: string;
  /** As the package says it; empty: nothing. */
  readonly licence: string;
}

/** What one file of an image says of what is in the image. */
export type Found =
  /** dpkg's status, or one package's in `status.d`. */
  | { readonly kind: "dpkg"; readonly packages: readonly DebianPackage[] }
  /** What is installed at this place: a `package.json`, a `METADATA`, a program made by Go with its modules. */
  | { readonly kind: "installed"; readonly packages: readonly LanguagePackage[] }
  /** What a lock file names; it need not be there. */
  | { readonly kind: "locked"; readonly packages: readonly LanguagePackage[] }
  /** Debian's copyright file of a package. */
  | { readonly kind: "copyright"; readonly licences: readonly string[] }
  /** os-release(5). */
  | { readonly kind: "release"; readonly id: string; readonly codename: string };

/** sha256 in hex and size of a file that nobody told of. */
export type FileFact = readonly [path: BytePath, sha256: string, size: number];

/** What one layer tells for a bill of materials; paths are bytes. */
export interface LayerFacts {
  /** What is taken away of the layers below. */
  readonly removed: readonly BytePath[];
  /** Folders of which everything below is taken away. */
  readonly emptied: readonly BytePath[];
  readonly found: readonly (readonly [path: BytePath, found: Found])[];
  /** Lists of files that belong to somebody, by path of the list. */
  readonly owned: readonly (readonly [list: BytePath, files: MarkedPaths])[];
  /** Files that belong to nobody in this layer. */
  readonly files: readonly FileFact[];
  /** How many more there were than are listed. */
  readonly unlisted: number;
  /** Files that say what they are, and were too large or damaged to be believed. */
  readonly unread: readonly BytePath[];
}
