import { OperatorError } from "../errors/operator-error.ts";

const msPerDay = 86_400_000;
const msByUnit: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", msPerDay],
]);
const bytesByUnit: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["Ki", 1024],
  ["Mi", 1024 ** 2],
  ["Gi", 1024 ** 3],
]);

/** What people write for a unit, in small letters, and what stands for it here. */
const durationUnits: Readonly<Record<string, string>> = {
  "": "s",
  ...spellings("ms", "msec msecs milli millis millisecond milliseconds"),
  ...spellings("s", "sec secs second seconds"),
  ...spellings("m", "min mins minute minutes"),
  ...spellings("h", "hr hrs hour hours"),
  ...spellings("d", "day days"),
};
const sizeUnits: Readonly<Record<string, string>> = {
  ...spellings("", "b byte bytes"),
  ...spellings("Ki", "kb kib"),
  ...spellings("Mi", "m mb mib"),
  ...spellings("Gi", "g gb gib"),
};
const mostDurationMs = 30 * msPerDay;
const mostSizeBytes = 2 ** 50;

function spellings(unit: string, words: string): Readonly<Record<string, string>> {
  return Object.fromEntries([unit.toLowerCase(), ...words.split(" ")].map((word) => [word, unit]));
}

/**
 * Parses `250ms`, `30s`, `10m`, `2h`, `1d` or `0`; at most 30 days.
 *
 * @returns milliseconds, an integer
 * @throws {OperatorError} `ARGUMENT_INVALID`, with the right spelling where one is near
 */
export function parseDurationMs(text: string | number): number {
  const written = String(text);
  if (written === "0") return 0;
  const { amount, unit } = amountOf(written);
  const factor = msByUnit.get(unit);
  const ms = factor === undefined ? Number.NaN : Math.round(amount * factor);
  if (ms <= mostDurationMs) return ms;
  const state = ms > mostDurationMs ? ": more than 30d" : "";
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${shortened(written)}" as a duration${state}`, {
    hint: `${Number.isNaN(ms) ? meant(written, durationUnits, parseDurationMs) : ""}write a number and a unit: 250ms, 30s, 10m, 2h or 1d, at most 30d`,
  });
}

/**
 * Parses `256Mi`, `1Gi`, `500M` or plain bytes, as Kubernetes writes quantities.
 *
 * @returns bytes, an integer
 * @throws {OperatorError} `ARGUMENT_INVALID`, with the right spelling where one is near
 */
export function parseSizeBytes(text: string | number): number {
  const written = String(text);
  const { amount, unit } = amountOf(written);
  const factor = bytesByUnit.get(unit);
  const bytes = factor === undefined ? Number.NaN : Math.round(amount * factor);
  if (bytes > 0 && bytes <= mostSizeBytes) return bytes;
  const state = bytes === 0 ? ": it is nothing" : bytes > mostSizeBytes ? ": more than 1048576Gi" : "";
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${shortened(written)}" as a size${state}`, {
    hint: `${Number.isNaN(bytes) ? meant(written, sizeUnits, parseSizeBytes) : ""}write a number and a unit: 256Mi, 1Gi, 500M, or plain bytes`,
  });
}

function amountOf(text: string): { readonly amount: number; readonly unit: string } {
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,3})?)([A-Za-z]{0,2})$/.exec(text);
  return { amount: Number(match?.[1] ?? Number.NaN), unit: match?.[2] ?? "" };
}

/** `did you mean 30s? ` where the text is a number with a unit that is only written otherwise, else nothing. */
function meant(text: string, units: Readonly<Record<string, string>>, parse: (text: string) => number): string {
  const match = /^\s*([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*([A-Za-z]{0,12})\s*$/.exec(text);
  const word = match?.[2]?.toLowerCase() ?? "";
  const unit = Object.hasOwn(units, word) ? units[word] : undefined;
  if (match?.[1] === undefined || unit === undefined) return "";
  const suggestion = `${match[1]}${unit}`;
  if (suggestion === text) return "";
  try {
    parse(suggestion);
    return `did you mean ${suggestion}? `;
  } catch {
    return "";
  }
}

function shortened(text: string): string {
  return text.slice(0, 80);
}

/** `1.2 s`, `340 ms`, `5 min`: for people, never parsed again. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  if (ms < 3_600_000) return `${Number((ms / 60_000).toFixed(1))} min`;
  if (ms < 48 * 3_600_000) return `${Number((ms / 3_600_000).toFixed(1))} h`;
  return `${Number((ms / 86_400_000).toFixed(1))} d`;
}

/** `12.3 MiB`: for people, never parsed again. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
