import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { createBuildCache } from "./cache.ts";
import { runCommand } from "./command.ts";
import { lockFileName } from "./lock-file.ts";
import { folderIn, ignoredIn, originIn, shareableAddress, workTreeOf } from "./repository.ts";

/** Where the built files come from. */
export interface Source {
  /** Latest time of anything in the image, whole seconds since the epoch. */
  readonly epoch: number;
  readonly commit: string | null;
  /** True: the files differ from the commit. */
  readonly dirty: boolean;
  /** Where the repository comes from, without credentials: an address that others can use; null: nobody knows. */
  readonly repository: string | null;
  /** The project's folder in the repository; "" is its root. */
  readonly folder: string;
  /** What is in the project's folder and git ignores, paths in the project; null: unknown. */
  readonly ignored: readonly string[] | null;
  readonly warnings: readonly string[];
}

// The project may belong to another user and its git configuration may name programs: neither may stop or steer the build.
const gitOptions = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
// What a commit's name stands for is its time too, whatever is put in its place.
const gitEnv = { GIT_OPTIONAL_LOCKS: "0", GIT_NO_REPLACE_OBJECTS: "1" };

export interface SourceOptions {
  /** As `Source.epoch`; absent: SOURCE_DATE_EPOCH, else the commit time of HEAD, else 0 with a warning. */
  readonly epoch?: number;
  /** Of the build cache: a commit's time is asked for once. */
  readonly cacheDir: string;
  readonly signal: AbortSignal;
}

/**
 * Time and commit of a project.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID` when SOURCE_DATE_EPOCH is no number of seconds
 */
export async function readSource(projectDir: string, options: SourceOptions): Promise<Source> {
  const fixed = options.epoch ?? parseEpoch(process.env["SOURCE_DATE_EPOCH"]);
  const git = (...args: readonly string[]): Promise<string | undefined> =>
    runCommand("git", [...gitOptions, "-C", projectDir, ...args], {
      signal: options.signal,
      timeoutMs: 60_000,
      env: gitEnv,
    }).then(
      ({ status, stdout }) => (status === 0 ? stdout.trim() : undefined),
      (error: unknown) => {
        if (error instanceof OperatorError && error.code === "MACHINE_LACKS") return undefined;
        throw error;
      },
    );
  const status = ["status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--ignored=traditional"];
  // What a build pins is no change of the source that it was made from.
  const state = await git(...status, "--", ".", `:(exclude)${lockFileName}`);
  const commit = state === undefined ? undefined : (commitIn(state) ?? (await git("rev-parse", "--verify", "HEAD")));
  const time = commit === undefined ? undefined : (fixed ?? (await commitTime(commit, git, options)));
  if (commit === undefined || time === undefined) {
    const warnings =
      fixed === undefined
        ? ["no git commit here: files in the image are dated 1970-01-01, and the artifact names no source commit"]
        : [];
    const nowhere = { commit: null, dirty: false, repository: null, folder: "", ignored: null } as const;
    return { epoch: fixed ?? 0, ...nowhere, warnings };
  }
  const dirty = state?.split("\n").some((line) => !line.startsWith("# ") && !line.startsWith("! ")) === true;
  return {
    epoch: time,
    commit,
    dirty,
    ...placeOf(projectDir, state ?? ""),
    warnings: dirty
      ? [`the project has changes that are not committed: the artifact is marked dirty against ${commit.slice(0, 12)}`]
      : [],
  };
}

function placeOf(projectDir: string, state: string): Pick<Source, "repository" | "folder" | "ignored"> {
  const workTree = workTreeOf(projectDir);
  const folder = workTree === undefined ? "" : folderIn(workTree, projectDir);
  const remote = workTree === undefined ? undefined : originOf(workTree);
  // Files of other repositories are no part of the commit; nor is what the first lines that are not kept would have said.
  const isWhole = workTree !== undefined && !existsSync(join(workTree, ".gitmodules")) && commitIn(state) !== undefined;
  return {
    repository: remote === undefined ? null : shareableAddress(remote),
    folder,
    ignored: isWhole ? ignoredIn(state, folder) : null,
  };
}

/** Of a clone with a `.git` of its own; others are told by their commit alone. */
function originOf(workTree: string): string | undefined {
  try {
    return originIn(readFileSync(join(workTree, ".git", "config"), "utf8"));
  } catch {
    return undefined;
  }
}

/** HEAD's commit; undefined also where so much has changed that the first lines are not kept. */
function commitIn(state: string): string | undefined {
  return /^# branch\.oid ([0-9a-f]{40,64})$/m.exec(state)?.[1];
}

/** In whole seconds since the epoch; undefined where git cannot tell. */
async function commitTime(
  commit: string,
  git: (...args: readonly string[]) => Promise<string | undefined>,
  { cacheDir }: SourceOptions,
): Promise<number | undefined> {
  const cache = createBuildCache(cacheDir);
  const known = await cache.read("commits", { commit });
  if (Number.isSafeInteger(known)) return known as number;
  const told = await git("log", "-1", "--no-show-signature", "--format=%ct", commit);
  if (told === undefined || !/^[0-9]+$/.test(told)) return undefined;
  await cache.write("commits", { commit }, Number(told));
  return Number(told);
}

function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^[0-9]{1,11}$/.test(text)) return Number(text);
  throw new OperatorError(
    "ARGUMENT_INVALID",
    `Cannot use SOURCE_DATE_EPOCH "${text.slice(0, 40)}": no whole number of seconds`,
    { hint: "unset it or give seconds since 1970" },
  );
}
