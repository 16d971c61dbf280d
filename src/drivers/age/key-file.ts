import { chmod, lstat, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { publishFile } from "../../linux/files.ts";
import { loadAge } from "./library.ts";
import { passphraseIdentity, passphraseRecipient } from "./passphrase.ts";

/** The key that all values are encrypted to, in the form of age's own key files. */
export interface SecretKey {
  /** `AGE-SECRET-KEY-1…` */
  readonly identity: string;
  /** `age1…` */
  readonly recipient: string;
}

const header = "age-encryption.org/v1\n";
const mostBytes = 16 * 1024;

/** @returns undefined where there is none @throws {OperatorError} `MACHINE_REFUSED` when others may read it */
export async function readKeyFile(path: string): Promise<Buffer | undefined> {
  const stats = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  if (!stats.isFile() || stats.size > mostBytes || (stats.mode & 0o077) !== 0 || stats.uid !== process.getuid?.()) {
    throw new OperatorError(
      "MACHINE_REFUSED",
      `Cannot use "${path}" as the key of secrets: others may read or write it`,
      {
        hint: `make it a file of root's own, \`chown root:root ${path} && chmod 600 ${path}\`; where others may have read it, rotate all secrets`,
      },
    );
  }
  return readFile(path);
}

/** Whether a passphrase is needed to use a key file. */
export function isProtected(bytes: Buffer): boolean {
  return bytes.toString("latin1", 0, header.length) === header;
}

/** @throws {OperatorError} `SECRET_UNREADABLE` when it holds no key of age */
export async function parseKey(text: string, path: string): Promise<SecretKey> {
  const identity = text.split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-1"));
  const { identityToRecipient } = await loadAge();
  try {
    if (identity !== undefined) return { identity, recipient: await identityToRecipient(identity.trim()) };
  } catch {
    // Told below: what a library says of a broken key might repeat it.
  }
  throw new OperatorError("SECRET_UNREADABLE", `Cannot use "${path}" as the key of secrets: there is no key in it`, {
    hint: "put it back from its backup; without it no secret can be read, and all need new values",
  });
}

/** @returns undefined when it is another passphrase */
export async function decryptKey(bytes: Buffer, passphrase: string, path: string): Promise<SecretKey | undefined> {
  const { Decrypter } = await loadAge();
  const decrypter = new Decrypter();
  let right = false;
  const identity = passphraseIdentity(passphrase);
  decrypter.addIdentity({
    async unwrapFileKey(stanzas) {
      const key = await identity.unwrapFileKey(stanzas);
      right = key !== null;
      return key;
    },
  });
  try {
    return await parseKey(await decrypter.decrypt(bytes, "text"), path);
  } catch (error) {
    if (!right) return undefined;
    throw error;
  }
}

export async function generateKey(): Promise<SecretKey> {
  const { generateX25519Identity, identityToRecipient } = await loadAge();
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** It is on disk when this resolves. @param passphrase null: the file is the key itself */
export async function writeKeyFile(
  path: string,
  { identity, recipient }: SecretKey,
  passphrase: string | null,
  createdAt: string,
): Promise<void> {
  const text = `# Bronze's key of secrets, made ${createdAt}\n# public key: ${recipient}\n${identity}\n`;
  let bytes: Uint8Array = Buffer.from(text);
  if (passphrase !== null) {
    const { Encrypter } = await loadAge();
    const encrypter = new Encrypter();
    encrypter.addRecipient(passphraseRecipient(passphrase));
    bytes = await encrypter.encrypt(text);
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = temporaryOf(path);
  await rm(temporary, { force: true });
  await writeFile(temporary, bytes, { mode: 0o600, flag: "wx" });
  // Whatever our umask is.
  await chmod(temporary, 0o600);
  await publishFile(temporary, path);
}

/** Where a killed writer leaves a key. */
export function temporaryOf(path: string): string {
  return `${path}.new`;
}
