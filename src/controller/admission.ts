import { OperatorError } from "../errors/operator-error.ts";
import type { Cause, EventData, Failure, TrustDecision } from "../ledger/event.ts";
import { blockOf, blockText, changeRevocations, noRevocations, shortName } from "../ledger/revocations.ts";
import type { EnvironmentRecord, LedgerState, ReleaseRecord } from "../ledger/state.ts";
import type { Digest } from "../model/canonical.ts";
import { contentDigest, type ArtifactOrigin, type Content, type TrustMode } from "../model/content.ts";
import type { Verification } from "../ports/verifier.ts";
import { whyBlocked } from "../rollout/revoked.ts";
import { keyOf, type Controller } from "./controller.ts";
import { failureError } from "./executor.ts";
import type { ControllerPorts } from "./ports.ts";
import { revokedFailure, unverifiedFailure, type Place } from "./refusals.ts";

/** What is to be released, as far as its artifact goes. */
export interface Candidate {
  readonly content: Content;
  /** Of the settings it is to have. */
  readonly trust: TrustMode | undefined;
  readonly cause: Cause;
  /** It was asked for by name. Else it is a change of what is live, which goes on with the artifact it has. */
  readonly isDeploy: boolean;
}

/** An artifact was let through, as things were then. */
export interface Admission {
  readonly artifact: Digest;
  readonly trust: TrustMode | undefined;
  /** Of the revocations, when they were looked at. */
  readonly changes: number;
  /** What was decided, to be recorded with what comes of it; none where nobody looked. */
  readonly decision: readonly EventData[];
}

/** What was decided, where the ledger does not say so yet. */
export function newsOf({ trust }: EnvironmentRecord, decision: readonly EventData[]): readonly EventData[] {
  return decision.filter((event) => {
    if (event.kind !== "trust.verified" && event.kind !== "trust.warned") return true;
    const known = trust.get(event.artifact);
    const reasons = event.kind === "trust.warned" ? event.reasons : [];
    return known === undefined || known.reasons.join("\n") !== reasons.join("\n") || known.keyLog !== event.keyLog;
  });
}

/** Whether nothing has happened since an admission that could have made it another one. */
export function isAdmitted(
  controller: Controller,
  record: EnvironmentRecord,
  { content, trust, isDeploy }: Candidate,
  admission: Admission | undefined,
): boolean {
  const live = record.live === null ? undefined : record.releases.get(record.live.release);
  // Whoever has to live with it for now may still turn off what is bad about it, or take a secret away from it.
  if (!isDeploy && live?.content.artifact === content.artifact) return true;
  return (
    admission !== undefined &&
    admission.artifact === content.artifact &&
    admission.trust === trust &&
    admission.changes === controller.state.revocations.changes
  );
}

/**
 * Lets an artifact through to a new release, or records that it was refused: what is revoked, or was made from what is, always;
 * what is not verified where the environment wants that.
 *
 * @throws {OperatorError} `ARTIFACT_REVOKED`, `ARTIFACT_UNVERIFIED`, `VERIFICATION_FAILED` for bytes that lie
 */
export async function admit(
  controller: Controller,
  record: EnvironmentRecord,
  candidate: Candidate,
): Promise<Admission> {
  const { content, trust } = candidate;
  const { artifact } = content;
  const { changes, blocked, verification } = await judge(controller, artifact, trust).catch((thrown: unknown) => {
    // Bytes that lie, or are not there, are no matter of policy.
    throw thrown instanceof OperatorError ? refuse(failureOf(thrown)) : thrown;
  });
  if (blocked !== undefined) throw refuse(revokedFailure(record, `v${record.lastRelease + 1}`, blocked));
  const decision = verification === undefined ? [] : [decided(record, artifact, trust, verification)];
  for (const event of decision)
    if (event.kind === "trust.refused") throw refuse(unverifiedFailure(record, event, event.reasons), event);
  return { artifact, trust, changes, decision };

  function refuse(failure: Failure, ...before: readonly EventData[]): OperatorError {
    const { app, environment } = record;
    const release = record.lastRelease + 1;
    const digest = contentDigest(content);
    const { cause } = candidate;
    controller.recorder.append(...before, {
      kind: "release.refused",
      app,
      environment,
      release,
      digest,
      content,
      cause,
      failure,
    });
    controller.tick(keyOf(record));
    return failureError(failure);
  }
}

/**
 * What `admit` would say of an artifact; nothing is recorded.
 *
 * @throws {OperatorError} as `admit`
 */
export async function foreseeAdmission(
  controller: Controller,
  place: Place & Pick<EnvironmentRecord, "lastRelease">,
  artifact: Digest,
  trust: TrustMode | undefined,
): Promise<void> {
  const { blocked, verification } = await judge(controller, artifact, trust);
  if (blocked !== undefined) throw failureError(revokedFailure(place, `v${place.lastRelease + 1}`, blocked));
  const event = verification === undefined ? undefined : decided(place, artifact, trust, verification);
  if (event?.kind === "trust.refused") throw failureError(unverifiedFailure(place, event, event.reasons));
}

/** Looks at an artifact until nothing was revoked meanwhile. */
async function judge(
  { ports, state }: Controller,
  artifact: Digest,
  trust: TrustMode | undefined,
): Promise<{
  readonly changes: number;
  readonly blocked: string | undefined;
  readonly verification: Verification | undefined;
}> {
  for (;;) {
    const { changes } = state.revocations;
    const blocked = await whyRevoked(ports, state, artifact);
    const verification = trust === "off" || blocked !== undefined ? undefined : await ports.verifier.verify(artifact);
    if (changes === state.revocations.changes) return { changes, blocked, verification };
  }
}

/**
 * Lets an earlier release's artifact through to a rollback. What was decided before holds while the keys are the same, so that it
 * costs nothing; what is revoked is refused always.
 *
 * @throws {OperatorError} as `admit`
 */
export async function admitAgain(
  controller: Controller,
  record: EnvironmentRecord,
  release: ReleaseRecord,
): Promise<void> {
  const { ports, state, recorder } = controller;
  const { artifact } = release.content;
  refuseRevoked(record, release);
  const { trust } = record.settings;
  if (trust === "off") return;
  const known = state.trust.get(artifact);
  if (known !== undefined && (known.reasons.length === 0 || modeFor(trust, known.origin) === "warn")) {
    // A log that cannot be read changes nothing about what was decided by one that could.
    if (known.keyLog === (await ports.verifier.keyLog().catch(() => known.keyLog))) return;
  }
  const verification = await ports.verifier.verify(artifact);
  const event = decided(record, artifact, trust, verification);
  recorder.append(event);
  if (event.kind === "trust.refused") throw failureError(unverifiedFailure(record, event, verification.reasons));
  refuseRevoked(record, release);
}

/** @throws {OperatorError} `ARTIFACT_REVOKED` */
export function refuseRevoked(record: EnvironmentRecord, release: ReleaseRecord): void {
  const blocked = whyBlocked(record, release);
  if (blocked !== undefined) throw failureError(revokedFailure(record, `v${release.number}`, blocked));
}

/** In words why an artifact may not be released, whether releases name it or not; undefined: it is not revoked. */
async function whyRevoked(
  { verifier }: ControllerPorts,
  { revocations: { revoked } }: LedgerState,
  artifact: Digest,
): Promise<string | undefined> {
  if (revoked.size === 0) return undefined;
  const descents = await verifier.descents(artifact, [...revoked.keys()]);
  const found = noRevocations();
  for (const [digest, { who, reason, atMs }] of revoked)
    changeRevocations(found, { kind: "artifact.revoked", artifact: digest, cause: { who, why: reason } }, atMs);
  for (const { from, chain } of descents)
    changeRevocations(found, { kind: "artifact.blocked", artifact, revoked: from, chain }, 0);
  const block = blockOf(found, artifact);
  return block === undefined ? undefined : `artifact ${shortName(artifact)} ${blockText(block)}`;
}

function failureOf({ code, message, hint }: OperatorError): Failure {
  return { code, summary: message, hint, evidence: [] };
}

/** What an environment that says nothing does with an artifact. */
export function modeFor(trust: TrustMode | undefined, origin: ArtifactOrigin): TrustMode {
  return trust ?? (origin === "built" ? "enforce" : "warn");
}

/** What a verification means where it is asked for. */
export function decided(
  { app, environment }: Place,
  artifact: Digest,
  trust: TrustMode | undefined,
  { origin, keyLog, reasons }: Verification,
): Extract<EventData, { kind: "trust.verified" | "trust.warned" | "trust.refused" }> {
  const decision: TrustDecision = { artifact, mode: modeFor(trust, origin), origin, keyLog };
  if (reasons.length === 0) return { kind: "trust.verified", app, environment, ...decision };
  const kind = decision.mode === "enforce" ? "trust.refused" : "trust.warned";
  return { kind, app, environment, ...decision, reasons };
}
