import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { runCommand, type CommandResult } from "../command.ts";
import type { RebuildPlan } from "./plan.ts";

// A repository's own configuration may name programs; none of them is to run here.
const options = [
  ..."-c safe.directory=* -c core.fsmonitor=false -c core.hooksPath=/dev/null -c protocol.ext.allow=never".split(" "),
  "-c",
  "core.autocrlf=false",
];

/**
 * Checks a commit out into an empty folder: out of the repository that a folder belongs to, else out of where the provenance
 * says that it is.
 *
 * @returns the project's folder in it
 * @throws {OperatorError} `NOT_FOUND` where nobody has the commit
 */
export async function checkOut(
  { commit, folder, address }: NonNullable<RebuildPlan["source"]>,
  { from, dir, signal }: { readonly from: string; readonly dir: string; readonly signal: AbortSignal },
): Promise<string> {
  const env = { GIT_INDEX_FILE: `${dir}.index`, GIT_TERMINAL_PROMPT: "0", GIT_NO_REPLACE_OBJECTS: "1" };
  const git = (at: readonly string[], ...args: readonly string[]): Promise<CommandResult> =>
    runCommand("git", [...options, ...at, ...args], { signal, timeoutMs: 10 * 60_000, env });
  const isCommit = async (at: readonly string[]): Promise<boolean> =>
    (await git(at, "cat-file", "-e", `${commit}^{commit}`)).status === 0;
  let repository: readonly string[] = ["-C", from];
  let cause = "";
  if (!(await isCommit(repository))) {
    const fetched = ["--git-dir", `${dir}.git`];
    if (address !== null) {
      await git([], "init", "--quiet", "--bare", `${dir}.git`);
      cause = (await git(fetched, "fetch", "--quiet", "--depth=1", address, commit)).stderr;
    }
    if (address === null || !(await isCommit(fetched))) throw noCommit(commit, address, cause);
    repository = fetched;
  }
  await mkdir(dir, { mode: 0o755 });
  for (const args of [
    ["read-tree", commit],
    ["checkout-index", "--all", `--prefix=${dir}/`],
  ]) {
    // Git writes files below its work tree only; a bare one has none.
    const { status, stderr } = await git([...repository, `--work-tree=${dir}`], ...args);
    if (status !== 0)
      throw new OperatorError("BUILD_FAILED", `Cannot check out ${commit}: git ended with status ${status}`, {
        hint: "the cause holds git's words",
        cause: stderr.trim().slice(-2000),
      });
  }
  return join(dir, folder);
}

function noCommit(commit: string, address: string | null, cause: string): OperatorError {
  return new OperatorError("NOT_FOUND", `Cannot find the commit ${commit} that it was built from`, {
    hint: `run it in a clone that has it, or name one with --source${address === null ? "" : `; it is of ${address}`}`,
    ...(cause === "" ? {} : { cause: cause.trim().slice(-2000) }),
  });
}
