import { createPublicKey, type KeyObject } from "node:crypto";
import { OperatorError } from "../../errors/operator-error.ts";
import { takeLock } from "../../linux/lock.ts";
import { sha256, type Digest } from "../../model/canonical.ts";
import type { Signer } from "../../ports/signer.ts";
import { keyIdOf, signPayload, type KeyId } from "../../trust/envelope.ts";
import { readKeyLog, signEntry, type KeyLog, type KeyLogEntry, type LoggedKey } from "../../trust/key-log.ts";
import { serialiseStanding } from "../../trust/standing.ts";
import { statementType } from "../../trust/statement.ts";
import { createKeyFolder, makeFolder, type KeyFolder } from "./folder.ts";

/** The machine's signing keys: one signs, the others are past. */
export interface Keyring extends Signer {
  /** Reads the log and the key that signs, so that the first signature takes less time. What is wrong with them is told when it is made. */
  prepare(): Promise<void>;
  /** Makes the first key. @throws {OperatorError} `USAGE` when there is one */
  create(options: NewKey): Promise<LoggedKey>;
  /** Makes a new key that signs from now on; the private half of the one before is destroyed. @throws {OperatorError} `NOT_FOUND` without one */
  rotate(options: NewKey & { readonly stands: Standing }): Promise<LoggedKey>;
  /**
   * Ends a key: of what it signed, only what is listed is believed from now on. When it is the one that signs, a new one takes
   * its place first.
   *
   * @throws {OperatorError} `NOT_FOUND`, `USAGE` when it is revoked already
   */
  revoke(key: KeyId, options: { readonly reason: string; readonly stands: Standing }): Promise<LoggedKey>;
}

interface NewKey {
  /** How long its signatures are believed. Null: for ever. */
  readonly validMs: number | null;
}

/** The statements of a key that stand, asked for under the lock. @param key whose signatures they are */
export type Standing = (key: KeyId) => Promise<Iterable<Digest>>;

export interface KeyringOptions {
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Told once, of the first key that a signature makes. */
  readonly onFirstKey?: (key: LoggedKey, path: string) => void;
  /** Told once, of a key that signs and whose window is over in less than two weeks. */
  readonly onNearEnd?: (key: LoggedKey, leftMs: number) => void;
}

/**
 * Keys in a folder. Several processes may use it at once; whoever changes it holds its lock. Killed at any point, either the old
 * or the new log is there, and what it does not need goes with the next change.
 */
export function createKeyring(path: string, { now, signal, onFirstKey, onNearEnd }: KeyringOptions): Keyring {
  const folder = createKeyFolder(path);
  let warned = false;
  let loaded: { readonly id: KeyId; readonly key: KeyObject } | undefined;

  const locked = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    await makeFolder(path);
    const lock = await takeLock(path, "exclusive", { wait: true, signal });
    try {
      return await work();
    } finally {
      await lock?.release();
    }
  };

  const first = (options: NewKey): Promise<{ readonly key: LoggedKey; readonly isNew: boolean }> =>
    locked(async () => {
      const { log } = await folder.readLog();
      if (log.active !== null) return { key: log.active, isNew: false };
      // A killed process may have made one: no key is destroyed that nothing is known of.
      const made = (await folder.unloggedKey()) ?? (await folder.makeKey());
      await append(folder, [{ ...bring("created", made, options, now()), stands: null }], [[made]]);
      const after = (await folder.readLog()).log;
      await folder.clear(after);
      return { key: activeOf(after), isNew: true };
    });

  const replace = async (
    log: KeyLog,
    options: NewKey & { readonly stands: Standing },
    more: readonly Omitted[] = [],
  ): Promise<LoggedKey> => {
    const old = log.active;
    if (old === null) throw noKey();
    const oldKey = await folder.readKey(old.id);
    const stands = await keepStanding(folder, old.id, options.stands);
    const made = await folder.makeKey();
    const entry = { ...bring("rotated", made, options, now()), stands };
    await append(folder, [entry, ...more], [[oldKey, made], ...more.map(() => [made])]);
    const after = (await folder.readLog()).log;
    await folder.clear(after);
    return activeOf(after);
  };

  return {
    trust: folder.readTrust,

    async prepare() {
      try {
        const { active } = (await folder.readLog()).log;
        if (active !== null) loaded = { id: active.id, key: await folder.readKey(active.id) };
      } catch {
        // Whoever signs meets it again.
      }
    },

    async sign(statement) {
      let { active } = (await folder.readLog()).log;
      if (active === null) {
        const { key, isNew } = await first({ validMs: null });
        if (isNew) onFirstKey?.(key, folder.keyPath(key.id));
        active = key;
      } else if (await folder.hasOldKeys((await folder.readLog()).log)) {
        await locked(async () => folder.clear((await folder.readLog()).log));
      }
      const { notAfter, notBefore, id } = active;
      const at = now();
      if ((notAfter !== null && at >= Date.parse(notAfter)) || at < Date.parse(notBefore)) throw outsideWindow(active);
      const leftMs = notAfter === null ? Number.POSITIVE_INFINITY : Date.parse(notAfter) - at;
      if (leftMs < nearEndMs && !warned) {
        warned = true;
        onNearEnd?.(active, leftMs);
      }
      if (loaded?.id !== id) loaded = { id, key: await folder.readKey(id) };
      return { keyId: id, signature: signPayload(loaded.key, statementType, statement) };
    },

    async create(options) {
      const { key, isNew } = await first(options);
      if (isNew) return key;
      throw new OperatorError("USAGE", `Cannot make a first key: ${key.id.slice(0, 12)} signs already`, {
        hint: "`bronze key rotate` makes a new one in its place",
      });
    },

    rotate: (options) =>
      locked(async () => {
        const { log } = await folder.readLog();
        await folder.clear(log);
        return replace(log, options);
      }),

    revoke: (id, { reason, stands }) =>
      locked(async () => {
        const { log } = await folder.readLog();
        const key = log.keys.find((one) => one.id === id);
        if (key === undefined || log.active === null) throw noKey(id);
        if (key.state === "revoked")
          throw new OperatorError("USAGE", `Cannot revoke ${id.slice(0, 12)}: it was revoked at ${key.endedAt ?? ""}`, {
            hint: "`bronze key list` shows all",
          });
        await folder.clear(log);
        const list = await keepStanding(folder, id, stands);
        const entry: Omitted = { kind: "revoked", key: id, reason, at: isoTime(now()), stands: list };
        if (key === log.active) await replace(log, { validMs: null, stands }, [entry]);
        else await append(folder, [entry], [[await folder.readKey(log.active.id)]]);
        const after = (await folder.readLog()).log;
        return after.keys.find((one) => one.id === id) ?? activeOf(after);
      }),
  };
}

/** An entry before it has its place. */
type Omitted = KeyLogEntry extends infer Entry
  ? Entry extends KeyLogEntry
    ? Omit<Entry, "sequence" | "previous">
    : never
  : never;

/** Adds entries in one write: all of them are there, or none. */
async function append(
  folder: KeyFolder,
  entries: readonly Omitted[],
  signers: readonly (readonly KeyObject[])[],
): Promise<void> {
  const { text, log } = await folder.readLog();
  let previous = log.head;
  let lines = "";
  entries.forEach((entry, index) => {
    const line = signEntry({ ...entry, sequence: log.entries.length + index, previous }, signers[index] ?? []);
    previous = sha256(line);
    lines += `${line}\n`;
  });
  // Whatever comes of it, no log is written that would not be read.
  const after = readKeyLog(text + lines);
  if (typeof after === "string") throw new Error(`the key log would not hold: ${after}`);
  await folder.writeLog(text + lines);
}

function bring<Kind extends "created" | "rotated">(kind: Kind, key: KeyObject, { validMs }: NewKey, nowMs: number) {
  return {
    kind,
    key: keyIdOf(key),
    publicKey: createPublicKey(key).export({ type: "spki", format: "pem" }),
    at: isoTime(nowMs),
    notBefore: isoTime(nowMs - clockErrorMs),
    notAfter: validMs === null ? null : isoTime(nowMs + validMs),
  };
}

/** Writes the list of what stands of a key. @returns its digest */
async function keepStanding(folder: KeyFolder, id: KeyId, standing: Standing): Promise<Digest> {
  const list = serialiseStanding(await standing(id));
  const digest = sha256(list);
  await folder.writeStanding(digest, list);
  return digest;
}

const nearEndMs = 14 * 86_400_000;

/** A clock that is set right after the first build, and so set back, stops no build. */
const clockErrorMs = 86_400_000;

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function activeOf({ active }: KeyLog): LoggedKey {
  if (active === null) throw new Error("the key log has no key that signs");
  return active;
}

function noKey(id?: KeyId): OperatorError {
  const which =
    id === undefined
      ? "the signing key: there is none yet"
      : `key ${id.slice(0, 12)}: the key log has none of this name`;
  return new OperatorError("NOT_FOUND", `Cannot find ${which}`, {
    hint:
      id === undefined ? "`bronze key create` makes one, and so does the first build" : "`bronze key list` shows all",
  });
}

function outsideWindow({ id, notBefore, notAfter }: LoggedKey): OperatorError {
  return new OperatorError(
    "KEY_UNUSABLE",
    `Cannot sign with key ${id.slice(0, 12)}: it is valid from ${notBefore}${notAfter === null ? "" : ` until ${notAfter}`}`,
    { hint: "run `bronze key rotate` for a new one, or set the machine's clock right" },
  );
}
