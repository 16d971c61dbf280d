import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { constants, lstatSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, open, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { publishFile, syncFolder } from "../../linux/files.ts";
import { digestHex, sha256, type Digest } from "../../model/canonical.ts";
import { isKeyId, keyIdOf, type KeyId } from "../../trust/envelope.ts";
import { emptyKeyLog, readKeyLog, type KeyLog } from "../../trust/key-log.ts";
import { isStandingList, type TrustMaterial } from "../../trust/standing.ts";

/**
 * Where the machine's signing keys are: `log.jsonl`, `head` (digest of a line that the log has had, the last but for a crash),
 * `signing/ID.key` (private), `standing/HEX` (lists that the log names).
 */
export interface KeyFolder {
  readonly path: string;
  readonly logPath: string;
  keyPath(id: KeyId): string;
  /** @throws {OperatorError} `VERIFICATION_FAILED` when the log does not hold */
  readLog(): Promise<{ readonly text: string; readonly log: KeyLog }>;
  readTrust(): Promise<TrustMaterial>;
  /** @throws {OperatorError} `KEY_UNUSABLE` when there is none, it is another one or others may read it */
  readKey(id: KeyId): Promise<KeyObject>;
  /** A key that is there; for a folder without a log. */
  unloggedKey(): Promise<KeyObject | undefined>;
  /** Makes a new key, on disk before it resolves. */
  makeKey(): Promise<KeyObject>;
  writeLog(text: string): Promise<void>;
  writeStanding(digest: Digest, list: Uint8Array): Promise<void>;
  /** Removes what the log does not need: keys that sign no more, what killed writers left. Only under the lock. */
  clear(log: KeyLog): Promise<void>;
  /** Whether {@link clear} would remove a key. */
  hasOldKeys(log: KeyLog): Promise<boolean>;
}

const keySuffix = ".key";
const mostKeyBytes = 16 * 1024;

export function createKeyFolder(path: string): KeyFolder {
  const logPath = join(path, "log.jsonl");
  const signing = join(path, "signing");
  const standing = join(path, "standing");
  const keyPath = (id: KeyId): string => join(signing, `${id}${keySuffix}`);
  const standingPath = (digest: Digest): string => join(standing, digestHex(digest));
  const headPath = join(path, "head");
  let last: { readonly text: string; readonly log: KeyLog } | undefined;

  const needed = ({ active, keys }: KeyLog): ReadonlySet<string> =>
    new Set([
      ...(active === null ? [] : [keyPath(active.id)]),
      ...keys.flatMap(({ stands }) => (stands === null ? [] : [standingPath(stands)])),
    ]);

  const folder: KeyFolder = {
    path,
    logPath,
    keyPath,

    async readLog() {
      // Before the log: it is written after it.
      const head = readSmall(headPath)?.toString("utf8", 0, 200).trim();
      const text = readSmall(logPath)?.toString("utf8") ?? "";
      if (last !== undefined && text === last.text) return last;
      const log = text === "" ? emptyKeyLog : readKeyLog(text);
      if (typeof log === "string") throw damaged(logPath, log);
      if (head !== undefined && !linesOf(text).includes(head))
        throw damaged(logPath, `it ends before ${head}, which it had: lines were cut off, or it is an older one`);
      return (last = { text, log });
    },

    async readTrust() {
      const { log } = await folder.readLog();
      const lists = new Map<Digest, Uint8Array>();
      for (const { stands } of log.keys) {
        const list = stands === null ? undefined : readSmall(standingPath(stands));
        if (stands !== null && list !== undefined && isStandingList(list, stands)) lists.set(stands, list);
      }
      return { log, standing: lists };
    },

    readKey: (id) => readKey(keyPath(id), id),

    async unloggedKey() {
      for (const file of filesIn(signing)) {
        const id = basename(file, keySuffix);
        const key = isKeyId(id) ? await readKey(file, id).catch(() => undefined) : undefined;
        if (key !== undefined) return key;
      }
      return undefined;
    },

    async makeKey() {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      await makeFolder(path);
      await makeFolder(signing);
      await writeWhole(keyPath(keyIdOf(privateKey)), privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
      return privateKey;
    },

    async writeLog(text) {
      await writeWhole(logPath, text, 0o644);
      await writeWhole(headPath, `${linesOf(text).at(-1) ?? ""}\n`, 0o644);
    },

    async writeStanding(digest, list) {
      await makeFolder(standing);
      await writeWhole(standingPath(digest), list, 0o644);
    },

    async clear(log) {
      const keep = needed(log);
      for (const file of [...filesIn(signing), ...filesIn(standing)])
        if (!keep.has(file)) await rm(file, { force: true });
      for (const file of [logPath, headPath]) await rm(`${file}${temporarySuffix}`, { force: true });
      for (const dir of [signing, standing]) await syncFolder(dir).catch(absent);
    },

    async hasOldKeys(log) {
      const keep = needed(log);
      return filesIn(signing).some((file) => !keep.has(file));
    },
  };
  return folder;
}

async function readKey(path: string, id: KeyId): Promise<KeyObject> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw unusable(path, "it is gone", "put it back from its backup; without it, see docs/trust.md on a lost key");
  if (!stats.isFile() || stats.size > mostKeyBytes || (stats.mode & 0o077) !== 0 || stats.uid !== process.getuid?.())
    throw unusable(
      path,
      "others may read or write it",
      `make it a file of your own, \`chmod 600 ${path}\`; where others may have read it, run \`bronze key revoke ${id.slice(0, 12)}\``,
    );
  let key: KeyObject;
  try {
    key = createPrivateKey(readFileSync(path));
  } catch {
    // What a library says of a broken key might repeat it.
    throw unusable(path, "there is no key in it", "put it back from its backup");
  }
  if (key.asymmetricKeyType === "ec" && keyIdOf(key) === id) return key;
  throw unusable(path, "it is another key than its name says", "put it back from its backup");
}

function unusable(path: string, state: string, hint: string): OperatorError {
  return new OperatorError("KEY_UNUSABLE", `Cannot sign with "${path}": ${state}`, { hint });
}

/** Digest of each line: what the log was at the time. */
function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => sha256(line));
}

function damaged(path: string, what: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot trust the key log "${path}": ${what}`, {
    hint: "it was changed outside Bronze; put it back from a backup of the state folder. Until then no signature is believed",
  });
}

const temporarySuffix = ".new";

/** Only under the lock, so that the temporary file is nobody else's. */
async function writeWhole(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = `${path}${temporarySuffix}`;
  await rm(temporary, { force: true });
  const file = await open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    mode,
  );
  try {
    // Whatever our umask is.
    await file.chmod(mode);
    await file.writeFile(content);
  } finally {
    await file.close();
  }
  await publishFile(temporary, path);
}

/** For root alone, also where it was there. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  if (first !== undefined) await syncFolder(join(path, ".."));
}

/** Without a thread, as {@link readSmall}: each signature asks. */
function filesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).map((name) => join(dir, name));
  } catch (error) {
    return absent(error as NodeJS.ErrnoException) ?? [];
  }
}

/** Without a thread, which would take longer than reading does. @returns undefined where there is none */
function readSmall(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    return absent(error as NodeJS.ErrnoException);
  }
}

/** For `catch`: what is not there is undefined, any other error stays one. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
