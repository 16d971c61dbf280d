import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import type { WantedSecret } from "../model/api/releases.ts";
import type { SecretDefinition, SecretSource } from "../model/definition.ts";
import { mostSecretBytes, whyNoValue, whyNoVariableValue, withoutLineEnd, type SecretName } from "../model/secret.ts";
import type { Project } from "./project.ts";
import { readSecretFile } from "./secret-input.ts";
import { takenVariable } from "./secret-variables.ts";

/** Longest time a command may take, in ms. */
const mostCommandMs = 10_000;

/**
 * The secrets of a definition as a deploy asks for them: with their values, where the definition says where those are.
 * What a provider gave or wrote is in no error.
 *
 * @throws {OperatorError} `SECRET_PROVIDER`
 */
export function wantedSecrets(
  secrets: readonly SecretDefinition[],
  { folder }: Pick<Project, "folder">,
  signal: AbortSignal,
  commandMs = mostCommandMs,
): Promise<readonly WantedSecret[]> {
  return Promise.all(
    secrets.map(async ({ name, variable, from }) => {
      if (from === undefined) return { name, variable };
      const value = withoutLineEnd(await readSource(name, from, folder, signal, commandMs));
      const problem = whyNoValue(value);
      if (problem !== undefined) throw failed(name, `what ${sourceText(from)} gave cannot be used: ${problem}`);
      const noVariable = variable ? whyNoVariableValue(value) : undefined;
      if (noVariable !== undefined)
        throw failed(name, `what ${sourceText(from)} gave ${noVariable}: it can be a file, but not a variable`);
      return { name, variable, value: value.toString("base64") };
    }),
  );
}

async function readSource(
  name: SecretName,
  from: SecretSource,
  folder: string,
  signal: AbortSignal,
  commandMs: number,
): Promise<Buffer> {
  switch (from.kind) {
    case "env": {
      const value = takenVariable(from.variable);
      if (value === undefined) throw failed(name, `the environment variable ${from.variable} is not set`);
      return Buffer.from(value);
    }
    case "file":
      try {
        return await readSecretFile(resolve(folder, from.path));
      } catch (thrown) {
        throw failed(name, `"${from.path}" cannot be read: ${thrown instanceof Error ? thrown.message : ""}`);
      }
    case "command":
      return runProvider(name, from.command, folder, signal, commandMs);
  }
}

/** Runs a command in a process group of its own, which ends with it whatever it started. */
function runProvider(
  name: SecretName,
  [program = "", ...args]: readonly string[],
  folder: string,
  signal: AbortSignal,
  commandMs: number,
): Promise<Buffer> {
  return new Promise((resolvePromise, reject) => {
    // What it complains of may hold what it was to give.
    const child = spawn(program, args, { cwd: folder, detached: true, stdio: ["ignore", "pipe", "ignore"] });
    const pieces: Buffer[] = [];
    let bytes = 0;
    let settled = false;
    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", interrupt);
      endGroup(child.pid);
      child.stdout.destroy();
      finish();
    };
    const fail = (finding: string): void => settle(() => reject(failed(name, `the command ${program} ${finding}`)));
    const interrupt = (): void => settle(() => reject(signal.reason));
    const timer = setTimeout(() => fail(`gave no value within ${commandMs / 1000} s`), commandMs);
    signal.addEventListener("abort", interrupt, { once: true });
    if (signal.aborted) interrupt();
    child.once("error", (error: NodeJS.ErrnoException) =>
      fail(error.code === "ENOENT" ? "is not there" : `cannot be run: ${error.code ?? "refused"}`),
    );
    child.stdout.on("data", (piece: Buffer) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > mostSecretBytes + 2) fail(`wrote more than ${mostSecretBytes} bytes`);
    });
    // Its own end counts: what it left running may hold the pipe open.
    child.once("exit", (status, killedBy) => {
      if (status !== 0) return fail(killedBy === null ? `ended with status ${status}` : `was killed by ${killedBy}`);
      const done = (): void => settle(() => resolvePromise(Buffer.concat(pieces)));
      if (child.stdout.readableEnded) done();
      else {
        child.stdout.once("end", done);
        setTimeout(done, drainMs).unref();
      }
    });
  });
}

/** Time for what a command wrote before its end to arrive, in ms. */
const drainMs = 500;

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

function sourceText(from: SecretSource): string {
  if (from.kind === "command") return `the command ${from.command[0] ?? ""}`;
  return from.kind === "file" ? `"${from.path}"` : `the environment variable ${from.variable}`;
}

function failed(name: SecretName, finding: string): OperatorError {
  return new OperatorError("SECRET_PROVIDER", `Cannot get the value of secret ${name}: ${finding}`, {
    hint: `nothing was deployed; see whether \`secrets\` in the definition says where ${name} comes from, and run a command by hand to see what it says`,
  });
}
