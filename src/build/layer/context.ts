import { lstatSync, realpathSync } from "node:fs";
import { join, relative } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import { digestHex, sha256 } from "../../model/canonical.ts";
import { createTemporaries } from "../../store/temporary.ts";
import { openMemo } from "../cache/memo.ts";
import type { BuildCache } from "../cache.ts";
import type { Recorder } from "../evidence/recorder.ts";
import { createContents, type Contents } from "./contents.ts";
import { globSource, hasWildcard, readIgnoreRule } from "./ignore.ts";
import type { SourceTree } from "./source-tree.ts";
import { openTree, type FoundFile } from "./walk.ts";

/** The project's files at one moment, without those that stay out of builds. */
export interface Context {
  readonly contents: Contents;
  readonly tree: SourceTree;
  /** What a path or pattern names, sorted; each with all that is below it. @throws {OperatorError} `BUILD_FAILED` for nothing */
  find(pattern: string): Promise<readonly FoundTree[]>;
  /** Remembers the contents that were read, for the next build; no layer is made any more. */
  save(): Promise<void>;
}

export interface FoundTree {
  readonly path: BytePath;
  readonly files: readonly FoundFile[];
}

/** Files that are looked at before Ctrl-C and what shows progress get their turn. */
const turnFiles = 2000;

/** @param ignoreFiles where the rules are that keep files out, the first that is there counts */
export async function openContext(
  projectDir: string,
  cache: BuildCache,
  signal: AbortSignal,
  ignoreFiles: readonly string[] = [".dockerignore"],
  recorder?: Recorder,
): Promise<Context> {
  const root = realpathSync(projectDir);
  const tree = openTree(root, readIgnoreRule(root, ignoreFiles, recorder?.read));
  const memo = await openMemo(
    join(cache.folder("memos"), digestHex(sha256(root))),
    createTemporaries(cache.folder("tmp")),
  );

  const collect = async (start: BytePath, wanted: (file: FoundFile) => boolean): Promise<readonly FoundFile[]> => {
    const files: FoundFile[] = [];
    let left = turnFiles;
    for (const file of tree.walk(start)) {
      if (wanted(file)) files.push(file);
      if ((left -= 1) > 0) continue;
      await nextTurn();
      signal.throwIfAborted();
      left = turnFiles;
    }
    return files;
  };
  const expand = async (pattern: string): Promise<readonly BytePath[]> => {
    const matches = new RegExp(`^${globSource(toBytePath(pattern))}$`, "s");
    const depth = pattern.split("/").length;
    const deep = pattern.includes("**");
    const found = await collect(
      "",
      ({ path }) => path !== "" && (deep || path.split("/").length === depth) && matches.test(path),
    );
    return found.map((file) => file.path).sort();
  };
  const contents = createContents(memo);
  const files: SourceTree = {
    at: tree.at,
    walk: tree.walk,
    bytes(file) {
      // Every file of this tree is one that was found here; whoever asks for bytes puts them into a layer.
      contents.expect(file as FoundFile);
      return contents.of(file as FoundFile);
    },
  };
  return {
    contents,
    tree: recorder?.watch(files) ?? files,
    async find(pattern) {
      const clean = cleanPattern(pattern);
      const paths = hasWildcard(clean) ? await expand(clean) : [locate(root, clean)];
      const found: FoundTree[] = [];
      for (const path of paths) {
        const files = await collect(path, (file) => {
          contents.expect(file);
          return true;
        });
        if (files.length > 0) found.push({ path, files });
        recorder?.files(files);
      }
      if (found.length > 0) return found;
      throw new OperatorError("BUILD_FAILED", `Cannot copy "${pattern}" from the project: nothing there matches it`, {
        hint: "paths are relative to the project's folder; what .dockerignore names does not count",
      });
    },
    save() {
      contents.end();
      return memo.save();
    },
  };
}

function cleanPattern(pattern: string): string {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  if (!parts.includes("..")) return parts.join("/");
  throw new OperatorError("BUILD_FAILED", `Cannot copy "${pattern}" into an image: it is outside the project`, {
    hint: "move the files into the project's folder",
  });
}

/** Follows symlinks on the way as long as they stay inside the project. */
function locate(root: string, path: string): BytePath {
  if (path === "") return "";
  try {
    lstatSync(join(root, path));
  } catch (cause) {
    throw new OperatorError("BUILD_FAILED", `Cannot copy "${path}" from the project: it does not exist`, {
      hint: "paths are relative to the project's folder",
      cause,
    });
  }
  const real = realpathSync(join(root, path));
  const inside = relative(root, real);
  if (inside === ".." || inside.startsWith("../")) {
    throw new OperatorError(
      "BUILD_FAILED",
      `Cannot copy "${path}" into an image: it leads out of the project to ${real}`,
      { hint: "move the files into the project's folder" },
    );
  }
  return toBytePath(inside);
}
