import type { OperatorError } from "../errors/operator-error.ts";
import type { Failure } from "../ledger/event.ts";
import { endText } from "../ledger/describe.ts";
import type { EnvironmentRecord, ReleaseRecord } from "../ledger/state.ts";
import { checkProcess, releaseProcess, testProcess, type InstanceName, type ProcessName } from "../model/names.ts";
import { isIrreversible } from "./tasks.ts";
import { commandText, leftText, testsDigest, type TaskEnd } from "../model/tasks.ts";
import { digestHex, type Json } from "../model/canonical.ts";
import { servingText } from "./serving-text.ts";

/** A task or check that did not come to the end that was wanted. */
export interface FailedTask {
  readonly process: ProcessName;
  readonly index: number;
  /** What it was, in words: its command, or the path it asked for. */
  readonly what: string;
  /** What came of it, in words: "ended with status 1". */
  readonly finding: string;
  readonly instance: InstanceName;
  /** Last lines it wrote. */
  readonly output: readonly string[];
  /** Why it could not be started. */
  readonly refusal?: Pick<OperatorError, "code" | "hint">;
}

/** Why a rollout ends whose task failed: what it was, what it wrote, and that nothing else has changed. */
export function taskFailure(record: EnvironmentRecord, release: ReleaseRecord, failed: FailedTask): Failure {
  const { app, environment } = record;
  const { process, finding, what, instance, output, refusal } = failed;
  const traffic = `${servingText(record)}${staysText(release)}`;
  const failure = {
    summary: `Cannot complete rollout of ${app} to v${release.number} in ${environment}: ${nameOf(record, release, failed)} (${what}) ${finding}`,
    evidence: output,
  };
  // What the machine refuses, a full disk above all, says nothing about the task.
  if (refusal !== undefined && refusal.code !== "RUNTIME_FAILED")
    return { ...failure, code: refusal.code, hint: `${refusal.hint}; ${traffic}` };
  const isCommand = process === releaseProcess;
  const advice = isCommand
    ? "make it end with status 0, and mind what it did before it failed"
    : "make it pass, or take it out of the definition";
  return {
    ...failure,
    code: isCommand ? "ROLLOUT_FAILED" : "TEST_FAILED",
    hint: `${advice}; ${traffic}; all it wrote: \`bronze logs ${instance}\``,
  };
}

/** Says, where a rollout ends after its release command, that what that did cannot be undone by going back. */
export function staysText(release: ReleaseRecord): string {
  return isIrreversible(release) ? `, but ${leftText([release.number])}` : "";
}

function nameOf(record: EnvironmentRecord, release: ReleaseRecord, { process, index }: FailedTask): string {
  if (process === releaseProcess) return "its release command";
  const count =
    process === testProcess ? release.tests.length : ((release.settings ?? record.settings).checks ?? []).length;
  const kind = process === checkProcess ? "check" : "test";
  return count <= 1 ? `its ${kind}` : `${kind} ${index + 1} of ${count}`;
}

/** How a task ended, in words, with what its limits had to do with it. */
export function findingOf(how: TaskEnd, code: number | null, outOfMemory: boolean, reason: string | undefined): string {
  const text = endText({ how, code, ...(reason === undefined ? {} : { reason }) });
  return outOfMemory ? `${text}, out of memory` : text;
}

/** @see in-toto attestation framework, predicate "Test Result" v0.1 */
export const testResultType = "https://in-toto.io/attestation/test-result/v0.1";

/**
 * What became of a release's tests, as the predicate of an in-toto statement about its artifact. Equal results give equal
 * predicates.
 *
 * @param failed place of the test that failed; null: all passed
 */
export function testResult(release: ReleaseRecord, failed: number | null): { readonly [key: string]: Json } {
  const names = release.tests.map(({ run }) => commandText(run));
  return {
    result: failed === null ? "PASSED" : "FAILED",
    configuration: [{ name: "tests", digest: { sha256: digestHex(testsDigest(release.tests)) } }],
    passedTests: failed === null ? names : names.slice(0, failed),
    failedTests: failed === null ? [] : names.slice(failed, failed + 1),
  };
}
