import type { Digest } from "../model/canonical.ts";
import type { EventData } from "./event.ts";

/** A person's word that an artifact, or an image that artifacts are made from, is to be used no more. */
export interface Revocation {
  readonly reason: string;
  readonly who: string;
  /** Time of day, in ms since the epoch. */
  readonly atMs: number;
}

/** All that is revoked, and what is blocked by it; shared by the state and all of its environments. */
export interface Revocations {
  readonly revoked: Map<Digest, Revocation>;
  /** Artifacts that releases name and that are revoked or made from what is: the way there, by what is revoked. */
  readonly blocked: Map<Digest, Map<Digest, readonly Digest[]>>;
  /** How often any of it changed: a look at an earlier state holds no more. */
  changes: number;
}

/** Why an artifact may not be released. */
export interface Block extends Revocation {
  readonly revoked: Digest;
  /** From the artifact to what is revoked, each made from the next; one where it is revoked itself. */
  readonly chain: readonly Digest[];
}

export function noRevocations(): Revocations {
  return { revoked: new Map(), blocked: new Map(), changes: 0 };
}

type RevocationEvent = Extract<EventData, { kind: "artifact.revoked" | "artifact.blocked" | "artifact.reinstated" }>;

export function changeRevocations(revocations: Revocations, data: RevocationEvent, wallMs: number): void {
  const { revoked, blocked } = revocations;
  revocations.changes += 1;
  switch (data.kind) {
    case "artifact.revoked":
      revoked.set(data.artifact, { reason: data.cause.why, who: data.cause.who, atMs: wallMs });
      return block(blocked, data.artifact, data.artifact, [data.artifact]);
    case "artifact.blocked":
      return block(blocked, data.artifact, data.revoked, data.chain);
    case "artifact.reinstated":
      revoked.delete(data.artifact);
      for (const [artifact, by] of blocked) if (by.delete(data.artifact) && by.size === 0) blocked.delete(artifact);
  }
}

/** Why an artifact that a release names may not be released again; undefined: nothing is in the way. */
export function blockOf({ revoked, blocked }: Revocations, artifact: Digest): Block | undefined {
  const ways = [...(blocked.get(artifact) ?? [])].sort(([, a], [, b]) => a.length - b.length);
  for (const [digest, chain] of ways) {
    const revocation = revoked.get(digest);
    if (revocation !== undefined) return { ...revocation, revoked: digest, chain };
  }
  return undefined;
}

/** `it is revoked: REASON`, or what it was made from is; in words that follow an artifact's name. */
export function blockText({ revoked, chain, reason, who }: Block): string {
  const between = chain.slice(1, -1).map((digest) => `, by way of ${shortName(digest)}`);
  const what =
    chain.length === 1 ? "is revoked" : `was made from ${shortName(revoked)}${between.join("")}, which is revoked`;
  return `${what} by ${who}${reason === "" ? "" : `: ${reason}`}`;
}

function block(blocked: Revocations["blocked"], artifact: Digest, revoked: Digest, chain: readonly Digest[]): void {
  blocked.set(artifact, (blocked.get(artifact) ?? new Map()).set(revoked, chain));
}

/** As people tell digests apart. */
export function shortName(digest: Digest): string {
  return digest.slice(0, "sha256:".length + 12);
}
