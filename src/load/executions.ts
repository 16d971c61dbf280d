import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { executionPattern, type LoadReport } from "./protocol.ts";

/**
 * Counts how often each upload was executed, from what the instances wrote to their output. Folders are read again and
 * again while instances come and go: each file is known by its inode and birth, so rotation neither hides nor doubles a
 * line, and a file that got the inode of a removed one is read from its beginning.
 */
export class Executions {
  readonly #folder: string;
  readonly #read = new Map<string, number>();
  readonly #counts = new Map<string, number>();

  /** @param folder where the instances' logs are, files of lines */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Reads what has been written since the last call. */
  async scan(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of names) await this.#scanFile(join(this.#folder, name));
  }

  async #scanFile(path: string): Promise<void> {
    const file = await open(path, "r").catch(() => undefined);
    if (file === undefined) return;
    try {
      const { ino, birthtimeMs, size } = await file.stat();
      const id = `${ino} ${birthtimeMs}`;
      const from = this.#read.get(id) ?? 0;
      if (size <= from) return;
      const bytes = Buffer.alloc(size - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      // A line that is not whole yet is left for the next time.
      const end = bytes.subarray(0, bytesRead).lastIndexOf(10) + 1;
      for (const match of bytes.toString("latin1", 0, end).matchAll(executionPattern)) {
        const nonce = match[1] ?? "";
        this.#counts.set(nonce, (this.#counts.get(nonce) ?? 0) + 1);
      }
      this.#read.set(id, from + end);
    } finally {
      await file.close();
    }
  }

  /** Uploads answered as done but executed never or more than once, and failed ones executed more than once. */
  wrong(report: Pick<LoadReport, "uploaded" | "uploadFailures">): { readonly never: number; readonly twice: number } {
    let never = 0;
    let twice = 0;
    for (const nonce of report.uploaded) {
      const count = this.#counts.get(nonce) ?? 0;
      if (count === 0) never += 1;
      if (count > 1) twice += 1;
    }
    for (const nonce of report.uploadFailures) if ((this.#counts.get(nonce) ?? 0) > 1) twice += 1;
    return { never, twice };
  }
}

/** The report with uploads that were executed 0 or 2 times counted as failed. */
export function withExecutions(
  report: LoadReport,
  wrong: { readonly never: number; readonly twice: number },
): LoadReport {
  const added = wrong.never + wrong.twice;
  if (added === 0) return report;
  const reasons = {
    ...(wrong.never > 0 ? { "not executed": wrong.never } : {}),
    ...(wrong.twice > 0 ? { "executed twice": wrong.twice } : {}),
  };
  return {
    ...report,
    failed: report.failed + added,
    kinds: report.kinds.map((row) =>
      row.kind === "upload" ? { ...row, failed: row.failed + added, reasons: { ...row.reasons, ...reasons } } : row,
    ),
  };
}
