import type { Command } from "commander";
import type { SecretValue } from "../build/options.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { readAtMost } from "./bounded-file.ts";

/** Options of commands that build. */
export interface BuildOptions {
  readonly target?: string;
  readonly buildArg?: readonly string[];
  readonly secret?: readonly string[];
}

/** The same, understood. */
export interface GivenForBuild {
  readonly target?: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly secrets: readonly SecretValue[];
}

/** As large as BuildKit takes them. */
const mostSecretBytes = 500 * 1024;

/** @param options.target false: which stage is meant is known */
export function withBuild(command: Command, { target = true }: { readonly target?: boolean } = {}): Command {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  if (target) command.option("--target <stage>", "which stage of the Dockerfile; the definition's, else the last one");
  return command
    .option(
      "--build-arg <name[=value]>",
      "a value for an ARG of the Dockerfile; without one that of the environment",
      collect,
    )
    .option(
      "--secret <id=…,src=…|env=…>",
      "what RUN --mount=type=secret,id=… sees, from a file or a variable",
      collect,
    );
}

/** @throws {OperatorError} `ARGUMENT_INVALID`, `NOT_FOUND` for a file or variable that is not there */
export async function readBuildOptions(options: BuildOptions): Promise<GivenForBuild> {
  const buildArgs = new Map<string, string>();
  for (const text of options.buildArg ?? []) {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name === "") throw refused("--build-arg", "it names no variable", "write --build-arg NAME=VALUE");
    const value = equals < 0 ? process.env[name] : text.slice(equals + 1);
    if (value !== undefined) buildArgs.set(name, value);
  }
  const secrets = await Promise.all((options.secret ?? []).map(readSecret));
  const { target } = options;
  return { buildArgs, secrets, ...(target === undefined ? {} : { target }) };
}

async function readSecret(text: string): Promise<SecretValue> {
  const fields = new Map(
    text.split(",").map((field): [string, string] => {
      const equals = field.indexOf("=");
      return equals < 0 ? [field, ""] : [field.slice(0, equals), field.slice(equals + 1)];
    }),
  );
  const hint = "write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE; never a value";
  const id = fields.get("id") ?? "";
  const file = fields.get("src") ?? fields.get("source");
  const variable = fields.get("env") ?? (file === undefined ? id : undefined);
  const odd = [...fields.keys()].find((key) => !["id", "src", "source", "env", "type"].includes(key));
  // Whatever it is, it may be the value itself: it is not repeated.
  if (odd !== undefined) throw refused("--secret", "it has a field that is none of id, src and env", hint);
  if (id === "" || (file !== undefined && fields.has("env")))
    throw refused("--secret", "it needs an id, and one of src and env", hint);
  if (file === undefined) {
    const value = process.env[variable ?? ""];
    if (value !== undefined) return { id, value: Buffer.from(value) };
    throw new OperatorError("NOT_FOUND", `Cannot read the secret "${id}": the variable ${variable} is not set`, {
      hint,
    });
  }
  let value: Buffer | undefined;
  try {
    value = await readAtMost(file, mostSecretBytes);
  } catch (cause) {
    throw new OperatorError("NOT_FOUND", `Cannot read the secret "${id}" from "${file}"`, { hint, cause });
  }
  if (value === undefined) throw refused("--secret", `"${file}" has more than ${mostSecretBytes} bytes`, hint);
  return { id, value };
}

function refused(option: string, state: string, hint: string): OperatorError {
  return new OperatorError("ARGUMENT_INVALID", `Cannot use ${option}: ${state}`, { hint });
}
