import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Proposal } from "./proposal.ts";

/**
 * Writes a proposal's files, all of them or none, and none over one that is there.
 *
 * @param force bronze.yaml may be replaced
 * @throws {OperatorError} `USAGE` when one is there or the folder cannot be written to
 */
export function writeFiles(folder: string, files: Proposal["files"], force: boolean): void {
  const temporaries = files.map(({ path }) => join(folder, dirname(path), `.${basename(path)}.bronze-init`));
  const linked: string[] = [];
  try {
    for (const [index, { text }] of files.entries()) writeDurably(temporaries[index] ?? "", text);
    for (const [index, { path }] of files.entries()) {
      const target = join(folder, path);
      if (force && path === "bronze.yaml") renameSync(temporaries[index] ?? "", target);
      else {
        linkSync(temporaries[index] ?? "", target);
        linked.push(target);
      }
    }
    syncFolder(folder);
  } catch (cause) {
    for (const path of linked) rmSync(path, { force: true });
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST" && "dest" in cause;
    throw new OperatorError(
      "USAGE",
      isThere ? `Cannot write "${String(cause.dest)}": it is there already` : `Cannot write into "${folder}"`,
      isThere
        ? { hint: "`bronze init --print` shows what would be written, --force replaces bronze.yaml" }
        : { hint: "run in a folder of yours", cause },
    );
  } finally {
    // Also those that an interrupted one left.
    for (const path of temporaries) rmSync(path, { force: true });
  }
}

function writeDurably(path: string, text: string): void {
  rmSync(path, { force: true });
  const fd = openSync(path, "wx", 0o644);
  try {
    for (let bytes = Buffer.from(text); bytes.length > 0;) bytes = bytes.subarray(writeSync(fd, bytes));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncFolder(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
