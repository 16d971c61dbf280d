import { spawn } from "node:child_process";
import { join, relative, resolve } from "node:path";
import { createKeyring } from "../../drivers/keys/keyring.ts";
import { compareArtifacts } from "../../build/compare.ts";
import type { BuiltArtifact } from "../../build/options.ts";
import { fromErrorRecord, OperatorError, type ErrorRecord } from "../../errors/operator-error.ts";
import { createLocalStore } from "../../store/local.ts";
import { newestTag, openStore } from "../local-store.ts";
import type { Context } from "../context.ts";
import { tryCommand } from "../doctor/try-command.ts";
import { openKeyring } from "../keyring.ts";
import type { Project } from "../project.ts";
import { withoutOptions } from "./arguments.ts";
import { inCheckFolder } from "./check-folder.ts";
import { copyProject } from "./copy-project.ts";
import { notReproducible } from "./not-reproducible.ts";
import { elsewhere, endsWithUs } from "./surroundings.ts";
import { takeOver } from "./take-over.ts";
import { createThrowAwayState } from "./throw-away-state.ts";

/** The artifact that both builds made, and what was different about them. */
export interface CheckedArtifact {
  readonly artifact: BuiltArtifact;
  readonly varied: readonly string[];
}

/** A command line of this program, as it was given. */
export interface OwnCommand {
  readonly program: string;
  readonly options: readonly string[];
  readonly script: string;
  readonly args: readonly string[];
}

/**
 * Builds a project twice without a cache, the second time as on another machine, and holds one against the other. What
 * came out equal is put into the store.
 *
 * @throws {OperatorError} `NOT_REPRODUCIBLE` naming the first difference; `MACHINE_REFUSED`, `MACHINE_LACKS`; what a build throws
 */
export async function checkProject(
  context: Context,
  project: Project,
  file: string,
  own: OwnCommand,
): Promise<CheckedArtifact> {
  const { output, places, signal } = context;
  if (process.getuid?.() !== 0) {
    throw new OperatorError("MACHINE_REFUSED", "Cannot check the build: another host name is given to it, as root", {
      hint: "run it as root",
    });
  }
  return inCheckFolder(places.state, async (dir) => {
    const [here, there] = [join(dir, "1"), join(dir, "2")];
    for (const state of [here, there]) {
      await createThrowAwayState(places.state, state);
      // Its build signs too, and nobody is to hear of a key that is gone right after.
      await createKeyring(join(state, "keys"), { now: Date.now, signal }).create({ validMs: null });
    }
    const args = withoutOptions(own.args, ["--check", "--json"], ["--state", "--file"]);
    const commandFor = (state: string, definition: string): readonly string[] =>
      [own.options, [own.script], args, ["--json", "--state", state, "--file", definition]].flat();
    const path = resolve(file);
    output.note("build 1 of 2: here, without a cache");
    const command = [...endsWithUs, own.program, ...commandFor(here, path)];
    const first = await runBuild("setpriv", command, process.cwd(), process.env, signal);
    // Whatever writes the time of day writes another one.
    const nextSecondAtMs = 1000 - (Date.now() % 1000);
    await new Promise((wake) => setTimeout(wake, nextSecondAtMs));
    const repository = await findRepository(project.folder);
    const copy = await copyProject(project.folder, dir, repository?.prefix ?? "", signal);
    try {
      const folder = join(copy.root, repository?.prefix ?? "");
      const cwd = relative(project.folder, process.cwd());
      const surroundings = elsewhere(
        own.program,
        commandFor(there, join(folder, relative(project.folder, path))),
        repository === undefined
          ? process.env
          : { ...process.env, GIT_DIR: repository.gitDir, GIT_WORK_TREE: copy.root },
      );
      const varied = ["another folder, order, times and modes of the files", ...surroundings.varied];
      output.note(`build 2 of 2: elsewhere: ${varied.join(", ")}`);
      const second = await runBuild(
        surroundings.program,
        surroundings.args,
        cwd.startsWith("..") ? process.cwd() : join(folder, cwd),
        surroundings.env,
        signal,
      );
      const stores = [here, there].map((state) => createLocalStore(join(state, "store")));
      const [one, two] = stores;
      if (one === undefined || two === undefined) throw new Error("two builds have two stores");
      if (first.digest !== second.digest) {
        throw await notReproducible(
          first.digest,
          second.digest,
          compareArtifacts({ blobs: one, digest: first.digest }, { blobs: two, digest: second.digest }),
        );
      }
      await takeOver(one, openStore(context), openKeyring(context), first.digest, newestTag(project.definition.app));
      return { artifact: first, varied };
    } finally {
      await copy.remove();
    }
  });
}

/** The git repository that a folder belongs to, and the folder's place in it. */
async function findRepository(
  folder: string,
): Promise<{ readonly gitDir: string; readonly prefix: string } | undefined> {
  const asked = ["rev-parse", "--absolute-git-dir", "--show-prefix"];
  const { ok, text } = await tryCommand("git", ["-c", "safe.directory=*", "-C", folder, ...asked]);
  const [gitDir, prefix = ""] = text.split("\n");
  return ok && gitDir !== undefined ? { gitDir, prefix } : undefined;
}

/** Runs one build to its end; its progress goes to our standard error. */
function runBuild(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<BuiltArtifact> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    const stop = (): void => void child.kill("SIGTERM");
    signal.addEventListener("abort", stop, { once: true });
    const pieces: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
    child.on("error", (cause) =>
      fail(
        new OperatorError("MACHINE_LACKS", `Cannot check the build: ${program} cannot be run`, {
          hint: "it is part of util-linux: apt-get install util-linux",
          cause,
        }),
      ),
    );
    child.on("close", (status) => {
      signal.removeEventListener("abort", stop);
      if (signal.aborted) return fail(signal.reason);
      try {
        done(readResult(Buffer.concat(pieces).toString("utf8"), status));
      } catch (error) {
        fail(error);
      }
    });
  });
}

/** The build has told it in full above: what it said is not said twice, but stays for `--json`. */
function buildFailed(record: ErrorRecord): OperatorError {
  const { code, message, hint } = fromErrorRecord(record);
  return new OperatorError(code, `Cannot check the build: ${message}`, { hint, details: record });
}

function readResult(text: string, status: number | null): BuiltArtifact {
  let result: { readonly error?: ErrorRecord } & Partial<BuiltArtifact> = {};
  try {
    result = JSON.parse(text.trim().split("\n").at(-1) ?? "") as typeof result;
  } catch {
    // Told below.
  }
  if (result.error !== undefined) throw buildFailed(result.error);
  if (status === 0 && result.digest !== undefined) return result as BuiltArtifact;
  throw new OperatorError("BUILD_FAILED", `Cannot check the build: it ended with status ${status}`, {
    hint: "the lines above say why; `bronze build` alone shows whether it builds here",
  });
}
