import { OperatorError } from "../errors/operator-error.ts";

const msByUnit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const bytesByUnit: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
};

/**
 * Parses `250ms`, `30s`, `10m`, `2h`, `1d` or `0`; at most 30 days.
 *
 * @returns milliseconds, an integer
 * @throws {OperatorError} `ARGUMENT_INVALID`
 */
export function parseDurationMs(text: string | number): number {
  if (text === 0 || text === "0") return 0;
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/.exec(String(text));
  const unit = match?.[2] === undefined ? undefined : msByUnit[match[2]];
  const ms = match?.[1] === undefined || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit);
  if (ms <= 30 * 86_400_000) return ms;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${String(text).slice(0, 80)}" as a duration`, {
    hint: "write a number and a unit: 250ms, 30s, 10m, 2h or 1d, at most 30d",
  });
}

/**
 * Parses `256Mi`, `1Gi`, `500M` or plain bytes, as Kubernetes writes quantities.
 *
 * @returns bytes, an integer
 * @throws {OperatorError} `ARGUMENT_INVALID`
 */
export function parseSizeBytes(text: string | number): number {
  const match = /^([0-9]{1,12}(?:\.[0-9]{1,3})?)(k|M|G|Ki|Mi|Gi|)$/.exec(String(text));
  const unit = match?.[2] === undefined ? undefined : bytesByUnit[match[2]];
  if (match?.[1] !== undefined && unit !== undefined) {
    const bytes = Math.round(Number(match[1]) * unit);
    if (bytes > 0 && bytes <= 2 ** 50) return bytes;
  }
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${String(text).slice(0, 80)}" as a size`, {
    hint: "write a number and a unit: 256Mi, 1Gi, 500M, or plain bytes",
  });
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
