import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { ReadStream } from "node:tty";
import { OperatorError } from "../errors/operator-error.ts";
import { mostSecretBytes, whyNoValue, withoutLineEnd } from "../model/secret.ts";

/** A line end more than the longest value. */
const mostRead = mostSecretBytes + 2;

/**
 * A value from a file, or from standard input; on a terminal it is asked for and not shown.
 *
 * @param what how people call it
 * @throws {OperatorError} `ARGUMENT_INVALID` when there is none, or too much of it; never with the value
 */
export async function readSecretInput(what: string, file: string | undefined, signal: AbortSignal): Promise<Buffer> {
  let value: Buffer;
  try {
    value = file === undefined ? await readStandardInput(what, signal) : await readSecretFile(file);
  } catch (thrown) {
    if (signal.aborted || thrown instanceof OperatorError) throw thrown;
    throw refused(what, thrown instanceof Error ? thrown.message : "it cannot be read");
  }
  const meant = withoutLineEnd(value);
  const problem = whyNoValue(meant);
  if (problem !== undefined) throw refused(what, problem);
  return meant;
}

/** Bytes of a regular file, a few more than the longest value at most. */
export async function readSecretFile(path: string): Promise<Buffer> {
  // Without waiting for the other end of a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      error.code === "ENOENT" ? "there is no such file" : `its folder or rights refuse it (${error.code})`,
    );
  });
  try {
    if (!(await file.stat()).isFile()) throw new Error("it is no regular file");
    const bytes = Buffer.alloc(mostRead);
    let length = 0;
    for (let count = -1; count !== 0 && length < mostRead; length += count)
      count = (await file.read(bytes, length, mostRead - length)).bytesRead;
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

async function readStandardInput(what: string, signal: AbortSignal): Promise<Buffer> {
  const { stdin } = process;
  if (stdin.isTTY) return readHidden(stdin, what, signal);
  const stop = (): void => void stdin.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of stdin as AsyncIterable<Buffer>) {
      pieces.push(piece);
      length += piece.length;
      if (length > mostRead) break;
    }
    signal.throwIfAborted();
    return Buffer.concat(pieces);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const keys = { interrupt: 3, end: 4, back: 8, enter: 13, line: 10, clear: 21, erase: 127 };

/** One line from a terminal that shows nothing of it. */
function readHidden(stdin: ReadStream, what: string, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    process.stderr.write(`${what} (not shown): `);
    stdin.setRawMode(true);
    let typed: number[] = [];
    const finish = (settle: () => void): void => {
      stdin.setRawMode(false);
      stdin.off("data", onData).pause();
      signal.removeEventListener("abort", onAbort);
      process.stderr.write("\n");
      settle();
    };
    const onAbort = (): void => finish(() => reject(signal.reason));
    const onData = (piece: Buffer): void => {
      for (const byte of piece) {
        if (byte === keys.interrupt) {
          finish(() =>
            reject(new OperatorError("INTERRUPTED", "Cannot finish: interrupted", { hint: "nothing was changed" })),
          );
          return;
        }
        if (byte === keys.enter || byte === keys.line || byte === keys.end) {
          finish(() => resolve(Buffer.from(typed)));
          return;
        }
        if (byte === keys.clear) typed = [];
        else if (byte === keys.back || byte === keys.erase) typed = withoutLast(typed);
        else typed.push(byte);
      }
    };
    signal.addEventListener("abort", onAbort, { once: true });
    stdin.on("data", onData).resume();
  });
}

/** Without the last character, whatever its length in UTF-8. */
function withoutLast(bytes: readonly number[]): number[] {
  let end = bytes.length - 1;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.slice(0, Math.max(0, end));
}

function refused(what: string, finding: string): OperatorError {
  return new OperatorError("ARGUMENT_INVALID", `Cannot read ${what}: ${finding}`, {
    hint: "pipe it in, or name a file with --from; never give it as an argument, which all users of the machine see",
  });
}
