import { sha256, type Digest } from "../model/canonical.ts";
import { readBundle, type Bundle } from "./bundle.ts";
import { verifyPayload, type KeyId } from "./envelope.ts";
import { shortKey, type LoggedKey } from "./key-log.ts";
import { candidateKeys, whyNotBelieved, type TrustMaterial } from "./standing.ts";
import { readStatement, statementType, type Statement, kindName } from "./statement.ts";

/** What an artifact must bring along. */
export interface TrustPolicy {
  /** Kinds of which there must be at least one statement that is believed. */
  readonly required: readonly string[];
  /**
   * What a statement of a kind must say; gives in words for people what is wrong with one. A kind that is not named here is
   * believed whatever it says.
   */
  readonly checks?: { readonly [predicateType: string]: (predicate: Statement["predicate"]) => string | undefined };
}

/** A signed statement as it was found: a referrer of the artifact. */
export interface FoundBundle {
  /** Digest of the manifest that carries it; for people. */
  readonly manifest: Digest;
  readonly bytes: Uint8Array;
  /** Why its bytes were not read, in words for people; absent: they were, or are not there. */
  readonly unread?: string;
}

/** What became of one bundle. */
export interface BundleVerdict {
  readonly manifest: Digest;
  /** Null where it could not be read. */
  readonly predicateType: string | null;
  /** Digest of the statement's bytes; null where there is none. */
  readonly statement: Digest | null;
  /** The key that signed it; null where none that is known did. */
  readonly key: KeyId | null;
  /** Why it is not believed, in words for people; null: it is. */
  readonly problem: string | null;
}

export interface Decision {
  readonly ok: boolean;
  /** Why not, in words for people; empty when it is. */
  readonly reasons: readonly string[];
  /** Those that were judged, in the order given. */
  readonly bundles: readonly BundleVerdict[];
}

export interface Verification {
  /** The artifact's digest, by which it will be started. */
  readonly digest: Digest;
  readonly manifest: Uint8Array;
  readonly bundles: readonly FoundBundle[];
  readonly trust: TrustMaterial;
  readonly policy: TrustPolicy;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: number;
  /** True: every bundle is judged, also when what is required is there. */
  readonly all?: boolean;
}

/**
 * Decides whether an artifact is what its evidence says: pure, without a socket or a file. One good statement of a required kind
 * is enough: whoever can add referrers could else take any artifact down. What is not believed is named.
 */
export function verifyArtifact(verification: Verification): Decision {
  const { digest, manifest, bundles, trust, policy, nowMs, all = false } = verification;
  const verdicts: BundleVerdict[] = [];
  const owed = new Set(policy.required);
  for (const found of bundles) {
    if (owed.size === 0 && !all) break;
    const verdict = judgeBundle(found, digest, trust, policy, nowMs);
    verdicts.push(verdict);
    if (verdict.problem === null && verdict.predicateType !== null) owed.delete(verdict.predicateType);
  }
  const actual = sha256(manifest);
  const reasons = actual === digest ? [] : [`its manifest is ${actual}`];
  // As a rule one thing is wrong with all of them.
  for (const [problem, kinds] of Map.groupBy(owed, (kind) => problemsOf(kind, verdicts).join("; ")))
    reasons.push(
      problem === ""
        ? `it has no ${kindsText(kinds, "or")}`
        : `its ${kindsText(kinds, "and")} ${kinds.length === 1 ? "is" : "are"} not believed: ${problem}`,
    );
  return { ok: reasons.length === 0, reasons, bundles: verdicts };
}

const mostTold = 3;

function problemsOf(kind: string, verdicts: readonly BundleVerdict[]): readonly string[] {
  const ofKind = verdicts.filter(({ predicateType }) => predicateType === kind);
  const unread = verdicts.filter(({ predicateType }) => predicateType === null);
  return [...new Set([...ofKind, ...unread].flatMap(({ problem }) => problem ?? []))].slice(0, mostTold);
}

/** `signature, provenance or bill of materials`. */
function kindsText(kinds: readonly string[], last: "and" | "or"): string {
  const names = kinds.map(kindName);
  return names.length === 1 ? names.join("") : `${names.slice(0, -1).join(", ")} ${last} ${names.at(-1) ?? ""}`;
}

/** Verifies one bundle: its signature, its key, what it is about and what it says. */
export function judgeBundle(
  { manifest, bytes, unread }: FoundBundle,
  digest: Digest,
  trust: TrustMaterial,
  { checks = {} }: Pick<TrustPolicy, "checks">,
  nowMs: number,
): BundleVerdict {
  const verdict = { manifest, predicateType: null, statement: null, key: null };
  const bundle = unread ?? readBundle(bytes);
  if (typeof bundle === "string") return { ...verdict, problem: `a bundle cannot be used: ${bundle}` };
  // Nothing of a payload is believed before its signature.
  const key = signerOf(bundle, trust);
  if (typeof key === "string") return { ...verdict, ...kindOf(bundle), problem: key };
  const statement = readStatement(bundle.payload);
  const named = { ...verdict, statement: sha256(bundle.payload), key: key.id };
  if (typeof statement === "string") return { ...named, problem: statement };
  const { subject, predicateType, predicate } = statement;
  const check = Object.hasOwn(checks, predicateType) ? checks[predicateType] : undefined;
  const problem =
    whyNotBelieved(key, named.statement, trust, nowMs) ??
    (subject === digest ? undefined : `it is about another artifact, ${subject}`) ??
    check?.(predicate);
  return { ...named, predicateType, problem: problem ?? null };
}

/** What a bundle without a valid signature claims to be, so that what is missing can be named with its reason. */
function kindOf({ payload }: Bundle): Pick<BundleVerdict, "predicateType" | "statement"> {
  const statement = readStatement(payload);
  return typeof statement === "string"
    ? { predicateType: null, statement: null }
    : { predicateType: statement.predicateType, statement: sha256(payload) };
}

function signerOf({ keyId, payload, signature }: Bundle, { log }: TrustMaterial): LoggedKey | string {
  const keys = candidateKeys(log, keyId);
  if (keys.length === 0)
    return `it is signed by ${keyId === null ? "a key" : shortKey(keyId)} that the key log does not know`;
  const signer = keys.find(({ key }) => verifyPayload(key, { payloadType: statementType, payload, signature }));
  return signer ?? "its signature does not hold: the statement or the signature was changed";
}
