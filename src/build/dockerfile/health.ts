import type { HealthcheckConfig } from "../../image/oci.ts";
import type { HealthFacts } from "../options.ts";
import type { Flags } from "./flags.ts";
import type { CommandLine } from "./instruction.ts";
import { InstructionProblem } from "./problems.ts";

const nanosByUnit: ReadonlyMap<string, number> = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["µs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9],
]);

/** Reads what follows HEALTHCHECK. @throws {InstructionProblem} @see Dockerfile reference, "HEALTHCHECK" */
export function readHealthcheck(
  rest: string,
  flags: Flags,
  readCommand: (text: string) => CommandLine,
): HealthcheckConfig {
  const kind = (/^\S*/.exec(rest)?.[0] ?? "").toUpperCase();
  const text = rest.slice(kind.length).trim();
  if (kind === "NONE") {
    if (text !== "") throw new InstructionProblem("HEALTHCHECK NONE takes nothing more");
    return { Test: ["NONE"] };
  }
  if (kind !== "CMD") throw new InstructionProblem(`HEALTHCHECK takes CMD or NONE, not "${kind.slice(0, 40)}"`);
  if (text === "") throw new InstructionProblem("HEALTHCHECK CMD names no command");
  const command = readCommand(text);
  const retries = flags.text("retries");
  if (retries !== null && !/^[0-9]{1,6}$/.test(retries))
    throw new InstructionProblem(`--retries=${retries.slice(0, 40)} is no number`);
  return {
    Test: command.form === "shell" ? ["CMD-SHELL", command.line] : ["CMD", ...command.words],
    ...time("Interval", flags.text("interval")),
    ...time("Timeout", flags.text("timeout")),
    ...time("StartPeriod", flags.text("start-period")),
    ...time("StartInterval", flags.text("start-interval")),
    ...(retries === null || Number(retries) === 0 ? {} : { Retries: Number(retries) }),
  };
}

function time<Name extends string>(name: Name, text: string | null): { readonly [K in Name]?: number } {
  const nanos = text === null ? 0 : parseNanos(text);
  if (nanos === undefined)
    throw new InstructionProblem(`"${(text ?? "").slice(0, 40)}" is no time; write 30s or 1m30s`);
  if (nanos !== 0 && nanos < 1e6) throw new InstructionProblem(`a time of "${text}" is shorter than 1ms`);
  return nanos === 0 ? {} : ({ [name]: nanos } as { readonly [K in Name]?: number });
}

function parseNanos(text: string): number | undefined {
  if (text === "0") return 0;
  let nanos = 0;
  let rest = text;
  while (rest !== "") {
    const match = /^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)/.exec(rest);
    if (match === null) return undefined;
    nanos += Number(match[1]) * (nanosByUnit.get(match[2] ?? "") ?? 0);
    rest = rest.slice(match[0].length);
  }
  return text === "" || !Number.isSafeInteger(Math.round(nanos)) ? undefined : Math.round(nanos);
}

const ownAddress =
  /^(?:http:\/\/)?(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?::([0-9]{1,5}|\$\{?[A-Za-z_]\w*(?::?-[0-9]{1,5})?\}?))?(\/[^\s'"$`;&|<>\\]*)?$/i;

/** What a health check asks, where it is curl, wget or the like on one address of the instance itself. */
export function healthFacts(check: HealthcheckConfig): HealthFacts | null {
  const [kind, ...rest] = check.Test;
  if (kind === "NONE" || kind === undefined) return null;
  const words = kind === "CMD" ? shellWords(rest) : plainWords(rest[0] ?? "");
  const program = words?.[0]?.slice((words[0] ?? "").lastIndexOf("/") + 1) ?? "";
  // curl and wget take an address without http:// as well.
  const addresses = (words ?? [])
    .slice(1)
    .filter((word) => /:\/\/|^(localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)([:/]|$)/.test(word));
  const match = addresses.length === 1 ? ownAddress.exec(addresses[0] ?? "") : null;
  if (match === null || !["curl", "wget", "http"].includes(program))
    return { kind: "command", command: rest.join(" ") };
  const port = match[1] ?? "80";
  return {
    kind: "http",
    path: match[2] ?? "/",
    port: /^[0-9]+$/.test(port) ? Number(port) : null,
    startMs: check.StartPeriod === undefined ? null : Math.round(check.StartPeriod / 1e6),
  };
}

/** The words of `sh -c LINE` as those of the line; others as they are. */
function shellWords(words: readonly string[]): readonly string[] | undefined {
  const [shell = "", flag, line] = words;
  return /(^|\/)(ba|da|a)?sh$/.test(shell) && flag === "-c" ? plainWords(line ?? "") : words;
}

/** The words of a line that is one command, `|| exit 1` behind it or not; undefined where it is more than that. */
function plainWords(line: string): readonly string[] | undefined {
  const command = line.replace(/^\s*exec\s+/, "").replace(/\s*\|\|\s*(exit\s+[0-9]+|false|kill\s+1)\s*;?\s*$/, "");
  const words = (command.match(/'[^']*'|"[^"]*"|[^\s'"]+/g) ?? []).filter(
    (word) => !/^([12]?>>?(&[12]|\/dev\/null)|\/dev\/null|>|2>)$/.test(word),
  );
  const bare = words.filter((word) => !/^['"]/.test(word)).join(" ");
  if (/[;&|`<>]|\$\(/.test(bare)) return undefined;
  return words.map((word) => word.replace(/^(['"])(.*)\1$/, "$2"));
}
