import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { sha256, type Digest } from "../model/canonical.ts";
import { serialiseBundle } from "./bundle.ts";
import { keyIdOf, signPayload } from "./envelope.ts";
import { readKeyLog, signEntry, type KeyLog, type KeyLogEntry } from "./key-log.ts";
import { serialiseStanding, type TrustMaterial } from "./standing.ts";
import { serialiseStatement, statementType, type Statement } from "./statement.ts";

export const manifest = Buffer.from('{"schemaVersion":2}');
export const artifact = sha256(manifest);
export const kind = "https://example.test/kind/v1";
export const said: Statement = { subject: artifact, predicateType: kind, predicate: { says: "this" } };

export function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** A bundle with a statement, or with bytes in its place. */
export function bundleOf(key: KeyObject, what: Statement | Uint8Array): Buffer {
  const payload = what instanceof Uint8Array ? what : serialiseStatement(what);
  return serialiseBundle(keyIdOf(key), payload, signPayload(key, statementType, payload));
}

export interface Window {
  readonly notBefore?: string;
  readonly notAfter?: string | null;
}

const at = "2026-01-01T00:00:00.000Z";

/** Lines of a log, as a keyring writes them. */
export class LogWriter {
  readonly lines: string[] = [];
  readonly lists = new Map<Digest, Uint8Array>();
  active: KeyObject | undefined;

  bring(key: KeyObject, { notBefore = at, notAfter = null }: Window = {}, stands: readonly Digest[] = []): this {
    const publicKey = createPublicKey(key).export({ type: "spki", format: "pem" });
    const kind = this.active === undefined ? "created" : "rotated";
    const list = kind === "created" ? null : this.#keep(stands);
    this.#add({ kind, key: keyIdOf(key), publicKey, notBefore, notAfter, at, stands: list }, [
      ...(this.active === undefined ? [] : [this.active]),
      key,
    ]);
    this.active = key;
    return this;
  }

  revoke(key: KeyObject, reason = "", stands: readonly Digest[] = []): this {
    this.#add({ kind: "revoked", key: keyIdOf(key), reason, at, stands: this.#keep(stands) }, [
      this.active as KeyObject,
    ]);
    return this;
  }

  get text(): string {
    return this.lines.map((line) => `${line}\n`).join("");
  }

  get trust(): TrustMaterial {
    return { log: logOf(this.text), standing: this.lists };
  }

  #keep(statements: readonly Digest[]): Digest {
    const list = serialiseStanding(statements);
    this.lists.set(sha256(list), list);
    return sha256(list);
  }

  #add(entry: object, signers: readonly KeyObject[]): void {
    const last = this.lines.at(-1);
    const previous = last === undefined ? null : sha256(last);
    this.lines.push(signEntry({ ...entry, sequence: this.lines.length, previous } as KeyLogEntry, signers));
  }
}

export function logOf(text: string): KeyLog {
  const log = readKeyLog(text);
  if (typeof log === "string") throw new Error(log);
  return log;
}

/** What is wrong with something, or nothing where it was read. */
export function problemOf(read: object | string): string {
  return typeof read === "string" ? read : "";
}
