import { chmod, mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { orDiskError } from "../../linux/disk.ts";
import { publishFile, syncFolder } from "../../linux/files.ts";
import { parseAppName, parseEnvironmentName } from "../../model/names.ts";
import { mostSecretBytes, parseSecretName, secretText, type SecretVersion } from "../../model/secret.ts";
import type { Secrets } from "../../ports/secrets.ts";
import { loadAge } from "./library.ts";
import {
  generateKey,
  decryptKey,
  isProtected,
  parseKey,
  readKeyFile,
  temporaryOf,
  writeKeyFile,
  type SecretKey,
} from "./key-file.ts";

export interface AgeSecretsOptions {
  /** The daemon's state folder: values in `secrets/`, the key in `keys/secrets.key`. */
  readonly state: string;
  /** Time of day, ms since the epoch. */
  readonly now: () => number;
}

const suffix = ".age";
/** An encrypted value is a little longer than the value. */
const mostFileBytes = mostSecretBytes + 4096;

/**
 * Values as files that age encrypted, one a version, to one key; `age -d -i keys/secrets.key` reads them without Bronze.
 *
 * @see https://age-encryption.org/v1
 */
export function createAgeSecrets({ state, now }: AgeSecretsOptions): Secrets {
  const folder = join(state, "secrets");
  const keyPath = join(state, "keys", "secrets.key");
  let opened: SecretKey | undefined;
  let making: Promise<SecretKey> | undefined;

  const pathOf = ({ app, environment, name, version }: SecretVersion): string =>
    join(folder, app, environment, name, `${version}${suffix}`);

  async function key(): Promise<SecretKey | undefined> {
    if (opened !== undefined) return opened;
    const bytes = await readKeyFile(keyPath);
    if (bytes === undefined) return undefined;
    if (isProtected(bytes)) throw locked();
    opened = await parseKey(bytes.toString("utf8"), keyPath);
    await rm(temporaryOf(keyPath), { force: true });
    return opened;
  }

  async function keyOrNew(): Promise<SecretKey> {
    return (await key()) ?? makeKey(null);
  }

  /** One for all who ask at once. */
  async function makeKey(passphrase: string | null): Promise<SecretKey> {
    // Values of a key that is gone must not be joined by some of another: putting it back would then lose these.
    if ((await list()).length > 0) throw keyGone();
    making ??= (async () => {
      const made = await generateKey();
      await writeKeyFile(keyPath, made, passphrase, new Date(now()).toISOString());
      return made;
    })().finally(() => (making = undefined));
    opened = await making;
    return opened;
  }

  const keyGone = (): OperatorError =>
    new OperatorError("SECRET_UNREADABLE", `Cannot use secrets: their key "${keyPath}" is gone`, {
      hint: "put it back from its backup; without one, remove all secrets and give them new values",
    });

  async function list(): Promise<readonly SecretVersion[]> {
    const found: SecretVersion[] = [];
    for (const app of await names(folder))
      for (const environment of await names(join(folder, app)))
        for (const name of await names(join(folder, app, environment)))
          for (const file of await names(join(folder, app, environment, name))) {
            const version = /^([1-9][0-9]{0,8})\.age$/.exec(file)?.[1];
            if (version === undefined) continue;
            found.push({
              app: parseAppName(app),
              environment: parseEnvironmentName(environment),
              name: parseSecretName(name),
              version: Number(version),
            });
          }
    return found.sort(
      (a, b) =>
        compare(a.app, b.app) ||
        compare(a.environment, b.environment) ||
        compare(a.name, b.name) ||
        a.version - b.version,
    );
  }

  return {
    list,
    async state() {
      if (opened !== undefined) return "open";
      const bytes = await readKeyFile(keyPath);
      return bytes !== undefined && isProtected(bytes) ? "locked" : "open";
    },
    async write(secret, value) {
      const path = pathOf(secret);
      try {
        const { recipient } = await keyOrNew();
        const { Encrypter } = await loadAge();
        const encrypter = new Encrypter();
        encrypter.addRecipient(recipient);
        await makeFolders(folder, dirname(path));
        const temporary = `${path}.new`;
        await rm(temporary, { force: true });
        await writeFile(temporary, await encrypter.encrypt(value), { mode: 0o600, flag: "wx" });
        await chmod(temporary, 0o600);
        await publishFile(temporary, path);
      } catch (error) {
        throw orDiskError(error, `keep secret ${secretText(secret)} in "${folder}"`, state);
      }
    },
    async read(secret) {
      const { identity } = (await key()) ?? fail(keyGone());
      const { Decrypter } = await loadAge();
      try {
        const bytes = await readFile(pathOf(secret));
        if (bytes.length > mostFileBytes) throw new Error("its file is too large");
        const decrypter = new Decrypter();
        decrypter.addIdentity(identity);
        return Buffer.from(await decrypter.decrypt(bytes, "uint8array"));
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        const finding = code === "ENOENT" ? "its value is gone" : (code ?? "its file is damaged or of another key");
        throw new OperatorError(
          "SECRET_UNREADABLE",
          `Cannot read secret ${secretText(secret)} of ${secret.app} in ${secret.environment}: ${finding}`,
          {
            hint: `give it a new value, \`bronze secret rotate ${secret.name}\`, or put "${folder}" and "${keyPath}" back from one backup`,
          },
        );
      }
    },
    async remove(secret) {
      const path = pathOf(secret);
      await rm(`${path}.new`, { force: true });
      await rm(path, { force: true });
      // Up to the first that still holds something.
      for (let one = dirname(path); one !== folder; one = dirname(one)) {
        try {
          await rmdir(one);
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code === "ENOENT") continue;
          if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
          await syncFolder(one);
          return;
        }
      }
    },
    async unlock(passphrase) {
      if (opened !== undefined) return;
      const bytes = await readKeyFile(keyPath);
      if (bytes === undefined || !isProtected(bytes)) return;
      opened = await decryptKey(bytes, passphrase, keyPath);
      if (opened === undefined) {
        throw new OperatorError("SECRETS_LOCKED", "Cannot unlock secrets: it is another passphrase", {
          hint: `give the one that was set last; "${keyPath}" is encrypted with it`,
        });
      }
    },
    async protect(passphrase) {
      const current = await key();
      // A new one is never on the disk without its passphrase.
      if (current === undefined) await makeKey(passphrase);
      else await writeKeyFile(keyPath, current, passphrase, new Date(now()).toISOString());
    },
  };
}

function locked(): OperatorError {
  return new OperatorError("SECRETS_LOCKED", "Cannot use secrets: their key waits for its passphrase", {
    hint: "give it once after each start of the daemon: `bronze secret unlock`, which reads it from standard input",
  });
}

function fail(error: OperatorError): never {
  throw error;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

async function names(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw error;
  });
}

/** Each new folder is on disk in the one above it. */
async function makeFolders(top: string, path: string): Promise<void> {
  await mkdir(top, { recursive: true, mode: 0o700 });
  await chmod(top, 0o700);
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let one = path; one !== dirname(top); one = dirname(one)) await syncFolder(one);
  await syncFolder(dirname(top));
}
