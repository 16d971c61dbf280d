import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { chainStart, type ChainHead } from "../../ledger/chain.ts";
import { isDigest, sha256 } from "../../model/canonical.ts";

/** One sector: a disk writes it whole or not at all. */
const sizeBytes = 512;

/**
 * Where the acknowledged chain ended, kept beside the ledger. SQLite drops the tail of its log from the first frame whose
 * checksum fails, as it must after a power cut: a damaged tail is then nothing but a shorter ledger. This file tells the
 * two apart. It is written after each commit that is on disk, in place and without waiting: it may lag, it is never ahead.
 */
export interface HeadFile {
  write(head: ChainHead): void;
  close(): void;
}

export function openHeadFile(stateDir: string): HeadFile {
  const path = headPath(stateDir);
  // Its one block is there from the beginning, so that a full disk does not matter.
  let fd: number;
  try {
    fd = openSync(path, "r+");
  } catch {
    fd = openSync(path, "w+", 0o600);
    writeSync(fd, render(chainStart), 0, sizeBytes, 0);
    fsyncSync(fd);
  }
  return {
    write(head) {
      try {
        writeSync(fd, render(head), 0, sizeBytes, 0);
      } catch {
        // The events are on disk: that this lags is better than to call them not written.
      }
    },
    close() {
      fsyncSync(fd);
      closeSync(fd);
    },
  };
}

/** What was acknowledged last; undefined where the file is missing or was torn by a power cut. */
export function readHead(stateDir: string): ChainHead | undefined {
  try {
    const [seq = "", hash = "", check = ""] = readFileSync(headPath(stateDir), "latin1").trim().split(" ");
    if (!/^\d{1,15}$/.test(seq) || !isDigest(hash) || check !== checkOf(seq, hash)) return undefined;
    return { seq: Number(seq), hash };
  } catch {
    return undefined;
  }
}

export function headPath(stateDir: string): string {
  return join(stateDir, "ledger.head");
}

function render({ seq, hash }: ChainHead): Buffer {
  const text = `${seq} ${hash} ${checkOf(String(seq), hash)}`;
  return Buffer.from(`${text.padEnd(sizeBytes - 1)}\n`, "latin1");
}

function checkOf(seq: string, hash: string): string {
  return sha256(`${seq} ${hash}`).slice("sha256:".length, "sha256:".length + 16);
}
