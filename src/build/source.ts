import { OperatorError } from "../errors/operator-error.ts";
import { runCommand } from "./command.ts";
import { lockFileName } from "./lock-file.ts";

/** Where the built files come from. */
export interface Source {
  /** Latest time of anything in the image, whole seconds since the epoch. */
  readonly epoch: number;
  readonly commit: string | null;
  /** True: the files differ from the commit. */
  readonly dirty: boolean;
  readonly warnings: readonly string[];
}

// The project may belong to another user and its git configuration may name programs: neither may stop or steer the build.
const gitOptions = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/**
 * Time and commit of a project: SOURCE_DATE_EPOCH, else the commit time of HEAD, else 0 with a warning.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID` when SOURCE_DATE_EPOCH is no number of seconds
 */
export async function readSource(projectDir: string, given: number | undefined, signal: AbortSignal): Promise<Source> {
  const fixed = given ?? parseEpoch(process.env["SOURCE_DATE_EPOCH"]);
  const git = (args: readonly string[]): Promise<string | undefined> =>
    runCommand("git", [...gitOptions, "-C", projectDir, ...args], {
      signal,
      timeoutMs: 60_000,
      env: { GIT_OPTIONAL_LOCKS: "0" },
    }).then(
      ({ status, stdout }) => (status === 0 ? stdout.trim() : undefined),
      (error: unknown) => {
        if (error instanceof OperatorError && error.code === "MACHINE_LACKS") return undefined;
        throw error;
      },
    );
  const [head, changes] = await Promise.all([
    git(["log", "-1", "--format=%H %ct"]),
    // What a build pins is no change of the source that it was made from.
    git(["status", "--porcelain=v1", "--", ".", `:(exclude)${lockFileName}`]),
  ]);
  const [commit, time] = head?.split(" ") ?? [];
  if (commit === undefined || time === undefined) {
    const warnings =
      fixed === undefined
        ? ["no git commit here: files in the image are dated 1970-01-01, and the artifact names no source commit"]
        : [];
    return { epoch: fixed ?? 0, commit: null, dirty: false, warnings };
  }
  const dirty = changes !== undefined && changes !== "";
  return {
    epoch: fixed ?? Number(time),
    commit,
    dirty,
    warnings: dirty
      ? [`the project has changes that are not committed: the artifact is marked dirty against ${commit.slice(0, 12)}`]
      : [],
  };
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
