import { posix } from "node:path";
import { nearestName } from "../../model/nearest.ts";
import type { StepMount } from "../../ports/step-runner.ts";
import { InstructionProblem } from "./problems.ts";

/** One `RUN --mount`, with its defaults filled in. Paths may still be relative to the working directory. */
export type MountRequest =
  | {
      readonly kind: "bind";
      /** A stage or an image; null: the project. */
      readonly from: string | null;
      readonly source: string;
      readonly target: string;
      readonly writable: boolean;
    }
  | Extract<StepMount, { readonly kind: "cache" }>
  | {
      readonly kind: "secret";
      readonly id: string;
      /** null where only a variable is wanted. */
      readonly target: string | null;
      readonly variable: string | null;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | Extract<StepMount, { readonly kind: "tmpfs" }>;

const types = ["bind", "cache", "tmpfs", "secret", "ssh"];
const canonicalKeys: ReadonlyMap<string, string> = new Map([
  ["src", "source"],
  ["dst", "target"],
  ["destination", "target"],
  ["ro", "readonly"],
  ["rw", "readwrite"],
]);
/** Keys that each type has. */
const keysOf: { readonly [type: string]: readonly string[] } = {
  bind: ["from", "source", "target", "readonly", "readwrite"],
  cache: ["from", "source", "target", "readonly", "readwrite", "id", "sharing", "mode", "uid", "gid"],
  tmpfs: ["target", "size", "readonly", "readwrite"],
  secret: ["source", "target", "id", "env", "required", "mode", "uid", "gid", "readonly", "readwrite"],
};

/** Looks at a mount before variables are known. @throws {InstructionProblem} */
export function checkMount(text: string): void {
  const fields = splitFields(text);
  if (/(^|,)from=[^,]*\$/.test(text))
    throw new InstructionProblem(
      "--mount: from takes no variables",
      "invalid",
      "give the image a name by a stage of its own",
    );
  if (!fields.some((field) => field.includes("$"))) readMount(text, (value) => value);
}

/**
 * Reads a mount.
 *
 * @param expand puts variables into a value
 * @throws {InstructionProblem}
 * @see Dockerfile reference, "RUN --mount"
 */
export function readMount(text: string, expand: (value: string) => string): MountRequest {
  const values = new Map<string, string>();
  for (const field of splitFields(text)) {
    const equals = field.indexOf("=");
    const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = canonicalKeys.get(written) ?? written;
    if (equals < 0 && !["readonly", "readwrite", "required"].includes(key))
      throw new InstructionProblem(`--mount: "${field.slice(0, 80)}" is not KEY=VALUE`);
    values.set(key, equals < 0 ? "true" : expand(field.slice(equals + 1)));
  }
  const type = (values.get("type") ?? "bind").toLowerCase();
  values.delete("type");
  if (type === "ssh")
    throw new InstructionProblem(
      "RUN --mount=type=ssh",
      "unsupported",
      "give the key as a secret, --mount=type=secret,id=key, or fetch before the build and COPY",
    );
  const keys = keysOf[type];
  if (keys === undefined)
    throw new InstructionProblem(`--mount=type=${type.slice(0, 40)}: there are ${types.join(", ")}`);
  for (const key of values.keys()) {
    if (keys.includes(key)) continue;
    const near = nearestName(key, keys);
    throw new InstructionProblem(
      `--mount=type=${type} has no "${key.slice(0, 40)}"${near === undefined ? "" : `, did you mean "${near}"?`}`,
    );
  }
  const numbers = {
    mode: number(values, "mode", 8),
    uid: number(values, "uid", 10) ?? 0,
    gid: number(values, "gid", 10) ?? 0,
  };
  if (type === "secret") return readSecret(values, numbers);
  // As in BuildKit, a mount without one is put over the working directory.
  const target = values.get("target") || ".";
  if (posix.normalize(target) === "/") throw noTarget(target);
  const readonly = values.get("readonly");
  const readwrite = values.get("readwrite");
  const writable =
    readonly !== undefined
      ? !truth("readonly", readonly)
      : readwrite !== undefined
        ? truth("readwrite", readwrite)
        : type !== "bind";
  if (type === "tmpfs") return { kind: "tmpfs", target, bytes: size(values.get("size")) };
  if (type === "bind")
    return { kind: "bind", from: values.get("from") ?? null, source: values.get("source") ?? "", target, writable };
  if (values.has("from") || values.has("source"))
    throw new InstructionProblem(
      "RUN --mount=type=cache with from or source",
      "unsupported",
      "a cache begins empty; copy into it in the RUN, from a --mount=type=bind,from=…",
    );
  const sharing = (values.get("sharing") ?? "shared").toLowerCase();
  if (sharing !== "shared" && sharing !== "private" && sharing !== "locked")
    throw new InstructionProblem(`--mount: sharing is shared, private or locked, not "${sharing.slice(0, 40)}"`);
  const id = values.get("id") ?? "";
  return { kind: "cache", id, target, sharing, ...numbers, mode: numbers.mode ?? 0o755, writable };
}

/** Where a mount is put, from the root. @throws {InstructionProblem} for the root itself */
export function mountPoint(workdir: string, target: string): string {
  const path = posix.resolve("/", workdir, target);
  if (path === "/") throw noTarget(target);
  return path;
}

function noTarget(target: string): InstructionProblem {
  return new InstructionProblem(`--mount: "${target.slice(0, 80)}" is no target for a mount`);
}

function readSecret(
  values: ReadonlyMap<string, string>,
  numbers: { readonly mode: number | undefined; readonly uid: number; readonly gid: number },
): MountRequest {
  const target = values.get("target") ?? null;
  const variable = values.get("env") ?? null;
  if (values.has("source") && values.has("id"))
    throw new InstructionProblem("--mount=type=secret has an id and a source");
  const id = values.get("source") ?? values.get("id") ?? (target === null ? "" : posix.basename(target));
  if (id === "") throw new InstructionProblem("--mount=type=secret needs an id");
  const required = values.get("required");
  return {
    kind: "secret",
    id,
    target: target ?? (variable === null ? `/run/secrets/${posix.basename(id)}` : null),
    variable,
    required: required !== undefined && truth("required", required),
    ...numbers,
    mode: numbers.mode ?? 0o400,
  };
}

/** Fields between commas; a field in double quotes may hold some. @see RFC 4180 */
function splitFields(text: string): readonly string[] {
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const c = text.charAt(at);
    if (quoted && c === '"' && text.charAt(at + 1) === '"') {
      field += c;
      at++;
    } else if (c === '"' && (quoted || field === "")) quoted = !quoted;
    else if (c === "," && !quoted) {
      fields.push(field);
      field = "";
    } else field += c;
  }
  if (quoted) throw new InstructionProblem("--mount: a quote is not closed");
  return [...fields, field];
}

function number(values: ReadonlyMap<string, string>, key: string, base: 8 | 10): number | undefined {
  const value = values.get(key);
  if (value === undefined) return undefined;
  const parsed = (base === 8 ? /^[0-7]{1,5}$/ : /^[0-9]{1,9}$/).test(value) ? Number.parseInt(value, base) : undefined;
  if (parsed === undefined || (base === 8 && parsed > 0o7777))
    throw new InstructionProblem(`--mount: ${key}=${value.slice(0, 40)} is no ${base === 8 ? "octal mode" : "number"}`);
  return parsed;
}

function truth(key: string, value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new InstructionProblem(`--mount: ${key} is true or false, not "${value.slice(0, 40)}"`);
}

/** Bytes of a size as Docker writes them: `64m`, `1g`, powers of 1024. */
function size(value: string | undefined): number | null {
  if (value === undefined) return null;
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)(?:i?b)?$/i.exec(value);
  if (match === null) throw new InstructionProblem(`--mount: size=${value.slice(0, 40)} is no size`);
  const unit = ["", "k", "m", "g", "t"].indexOf((match[2] ?? "").toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** unit);
}
