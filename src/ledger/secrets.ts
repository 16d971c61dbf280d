import { contentDigest, type Content } from "../model/content.ts";
import type { Digest } from "../model/canonical.ts";
import type { ProcessName } from "../model/names.ts";
import type { SecretName } from "../model/secret.ts";
import type { EventData } from "./event.ts";
import type { EnvironmentRecord, ReleaseRecord, SetRecord } from "./state.ts";

/** A secret as the ledger tells it: never its values. */
export interface SecretRecord {
  readonly name: SecretName;
  /** Every version there ever was, oldest first. */
  readonly versions: readonly SecretVersionRecord[];
}

export interface SecretVersionRecord {
  readonly version: number;
  readonly who: string;
  readonly why: string;
  /** Time of day. */
  readonly atMs: number;
  /** How its value is no longer to be used; null: it is. */
  readonly ended: "revoked" | "removed" | null;
}

/** A version that another one takes the place of. */
export interface ReplacedSecret {
  readonly name: SecretName;
  readonly from: number;
  readonly to: number;
  readonly because: "revoked" | "removed";
}

type EventOf<Kind extends EventData["kind"]> = Extract<EventData, { kind: Kind }>;

export function setSecret(record: EnvironmentRecord, data: EventOf<"secret.set">, wallMs: number): void {
  const { name, version, cause } = data;
  const before = record.secrets.get(name)?.versions ?? [];
  const next: SecretVersionRecord = { version, who: cause.who, why: cause.why, atMs: wallMs, ended: null };
  record.secrets.set(name, { name, versions: [...before, next] });
}

/** Sets that stand by for a rollback take the current version; what is live does so by a release. */
export function endSecret(record: EnvironmentRecord, data: EventOf<"secret.revoked" | "secret.removed">): void {
  const secret = record.secrets.get(data.name);
  if (secret === undefined) return;
  const ended = data.kind === "secret.revoked" ? "revoked" : "removed";
  const isMeant = (one: SecretVersionRecord): boolean =>
    one.ended === null && (data.kind === "secret.removed" || one.version === data.version);
  record.secrets.set(data.name, {
    ...secret,
    versions: secret.versions.map((one) => (isMeant(one) ? { ...one, ended } : one)),
  });
  // One that is to go live just now is let through: what follows the end of a version puts another content live.
  const coming = record.active === null ? undefined : record.releases.get(record.active)?.set;
  for (const set of record.sets.values()) if (set.role === "warm" && set.name !== coming) renewSecrets(record, set);
}

/** Which other version, and why, in words. */
export function replacedText({ name, from, to, because }: ReplacedSecret): string {
  return `${name} v${to} in place of v${from}, which was ${because}`;
}

/** Gives a set that stands by the secrets that a rollback to it would bring; its instances are then others' to replace. */
export function renewSecrets(record: EnvironmentRecord, set: SetRecord): void {
  const content = contentNow(record, set.content);
  if (content === set.content) return;
  set.content = content;
  set.digest = contentDigest(content);
  for (const [process, ordinal] of set.nextOrdinal) set.renewedFrom.set(process, ordinal);
}

/** Whether an instance still runs the content that its set had before a secret ended. */
export function isOutdated(
  set: SetRecord,
  { process, ordinal }: { readonly process: ProcessName; readonly ordinal: number },
): boolean {
  return ordinal < (set.renewedFrom.get(process) ?? 0);
}

/** The version that a new release gets; undefined: there is none. */
export function currentVersion(record: EnvironmentRecord | undefined, name: SecretName): number | undefined {
  return record?.secrets.get(name)?.versions.findLast(({ ended }) => ended === null)?.version;
}

/** Version numbers are never used twice, also not after a removal. */
export function nextVersion(record: EnvironmentRecord | undefined, name: SecretName): number {
  return (record?.secrets.get(name)?.versions.at(-1)?.version ?? 0) + 1;
}

/** Names of the secrets that have a value, sorted. */
export function knownSecrets(record: EnvironmentRecord | undefined): readonly SecretName[] {
  return [...(record?.secrets.keys() ?? [])].filter((name) => currentVersion(record, name) !== undefined).sort();
}

/** What of a content's secrets has ended since, and what takes its place. Where nothing does, it is left out. */
export function replacedSecrets(record: EnvironmentRecord, content: Content): readonly ReplacedSecret[] {
  return versionsOf(content).flatMap(([name, from]) => {
    const because = endOf(record, name, from);
    const to = currentVersion(record, name);
    return because === null || to === undefined ? [] : [{ name, from, to, because }];
  });
}

/** Secrets of a content that have ended without anything to take their place. */
export function lostSecrets(record: EnvironmentRecord, content: Content): readonly (readonly [SecretName, number])[] {
  return versionsOf(content).filter(
    ([name, version]) => endOf(record, name, version) !== null && currentVersion(record, name) === undefined,
  );
}

/** The content as it is released now: with the current version in the place of one that has ended. */
export function contentNow(record: EnvironmentRecord, content: Content): Content {
  const replaced = replacedSecrets(record, content);
  if (replaced.length === 0) return content;
  const now = Object.fromEntries(replaced.map(({ name, to }) => [name, to]));
  return { ...content, secrets: { ...content.secrets, ...now } };
}

/** Digest of what a rollback to a release brings back. */
export function digestNow(record: EnvironmentRecord, release: ReleaseRecord): Digest {
  const content = contentNow(record, release.content);
  return content === release.content ? release.digest : contentDigest(content);
}

function endOf(record: EnvironmentRecord, name: SecretName, version: number): SecretVersionRecord["ended"] {
  return record.secrets.get(name)?.versions.find((one) => one.version === version)?.ended ?? null;
}

function versionsOf(content: Content): readonly (readonly [SecretName, number])[] {
  return Object.entries(content.secrets) as unknown as readonly (readonly [SecretName, number])[];
}

/** Proven releases whose artifacts and secrets are kept, besides what a rollback without a version can reach. */
const keptReleases = 10;

/** Releases that a rollback may be asked for and that see a version of a secret, newest first. @param version absent: any */
export function releasesWith(record: EnvironmentRecord, name: SecretName, version?: number): readonly number[] {
  const proven = [...record.releases.values()].filter(({ proof }) => proof === "proven").map(({ number }) => number);
  const kept = new Set([...record.line, ...proven.slice(-keptReleases), ...inUse(record)]);
  return [...kept].filter((number) => sees(record.releases.get(number)?.content, name, version)).sort((a, b) => b - a);
}

/** Of those the ones that run, or that the watch may bring back by itself. */
export function runningWith(record: EnvironmentRecord, name: SecretName, version?: number): readonly number[] {
  return inUse(record).filter((number) => sees(record.releases.get(number)?.content, name, version));
}

function inUse({ live, active, watch }: EnvironmentRecord): readonly number[] {
  const all = [live?.release, active, watch?.previous];
  return [...new Set(all.flatMap((number) => number ?? []))].sort((a, b) => b - a);
}

function sees(content: Content | undefined, name: SecretName, version: number | undefined): boolean {
  const seen = content?.secrets[name];
  return seen !== undefined && (version === undefined || seen === version);
}
