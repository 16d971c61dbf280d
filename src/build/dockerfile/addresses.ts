import { InstructionProblem } from "./problems.ts";

/** Whether a source of ADD is a file on the web. */
export function isWebAddress(source: string): boolean {
  return /^https?:\/\//.test(source) && !isGitAddress(source);
}

function isGitAddress(source: string): boolean {
  return /^(git@|git:\/\/|ssh:\/\/)/.test(source) || /^https?:\/\/[^?]*\.git(#.*)?$/.test(source);
}

/**
 * Looks at what COPY or ADD is to take.
 *
 * @throws {InstructionProblem} for an address that it does not fetch
 */
export function checkSources(kind: "copy" | "add", sources: readonly string[]): void {
  const git = sources.find(isGitAddress);
  if (kind === "add" && git !== undefined)
    throw new InstructionProblem(
      `ADD of the git repository "${git.slice(0, 200)}"`,
      "unsupported",
      "git clone it in a RUN with the commit you want, or make it a submodule and COPY",
    );
  const address = sources.find((source) => isWebAddress(source) || isGitAddress(source));
  if (kind === "copy" && address !== undefined)
    throw new InstructionProblem(`COPY cannot fetch "${address.slice(0, 200)}"`, "invalid", "use ADD");
}
