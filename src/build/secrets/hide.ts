import type { BuildEvent, SecretValue } from "../options.ts";
import { leastValueBytes } from "./scanner.ts";

const shown = Buffer.from("[redacted]");

/**
 * Passes events on with the values of secrets taken out of what steps write, whole values and lines of longer ones. Bytes
 * that may be the beginning of one wait for the next piece, or the step's end.
 */
export function hideSecrets(
  report: (event: BuildEvent) => void,
  secrets: readonly SecretValue[],
): (event: BuildEvent) => void {
  const needles = [...new Set(secrets.flatMap(({ value }) => linesOf(value)))]
    .map((line) => Buffer.from(line, "latin1"))
    .sort((a, b) => b.byteLength - a.byteLength);
  if (needles.length === 0) return report;
  const waiting = new Map<string, Buffer>();
  return (event) => {
    if (event.kind === "output") {
      const bytes = withoutNeedles(Buffer.concat([waiting.get(event.step) ?? Buffer.alloc(0), event.bytes]), needles);
      const held = possibleStart(bytes, needles);
      waiting.set(event.step, bytes.subarray(bytes.byteLength - held));
      if (held < bytes.byteLength) report({ ...event, bytes: bytes.subarray(0, bytes.byteLength - held) });
      return;
    }
    if (event.kind === "ended") {
      const rest = waiting.get(event.step);
      waiting.delete(event.step);
      if (rest !== undefined && rest.byteLength > 0) report({ kind: "output", step: event.step, bytes: rest });
    }
    report(event);
  };
}

/** The value as a whole, and each of its lines; too short ones would take ordinary words away. */
function linesOf(value: Uint8Array): readonly string[] {
  const whole = Buffer.from(value).toString("latin1").trim();
  return [whole, ...whole.split("\n").map((line) => line.trim())].filter((line) => line.length >= leastValueBytes);
}

function withoutNeedles(bytes: Buffer, needles: readonly Buffer[]): Buffer {
  let rest = bytes;
  for (const needle of needles) {
    const pieces: Buffer[] = [];
    let from = 0;
    for (let at = rest.indexOf(needle); at >= 0; at = rest.indexOf(needle, from)) {
      pieces.push(rest.subarray(from, at), shown);
      from = at + needle.byteLength;
    }
    if (from > 0) rest = Buffer.concat([...pieces, rest.subarray(from)]);
  }
  return rest;
}

/** How many of the last bytes may be the beginning of a needle. */
function possibleStart(bytes: Buffer, needles: readonly Buffer[]): number {
  for (let length = Math.min(bytes.byteLength, (needles[0]?.byteLength ?? 1) - 1); length > 0; length -= 1) {
    const end = bytes.subarray(bytes.byteLength - length);
    if (needles.some((needle) => needle.byteLength > length && needle.subarray(0, length).equals(end))) return length;
  }
  return 0;
}
