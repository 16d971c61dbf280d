import type { SecretVersion } from "../model/secret.ts";

/**
 * Keeps the values of secrets. What is written is never changed: a new value is a new version. Which versions there are,
 * and whose they are, says the ledger; a value without a record is a leftover.
 */
export interface Secrets {
  /** `locked`: nothing can be read or written until `unlock`. */
  state(): Promise<"open" | "locked">;

  /**
   * Keeps a value; it is on disk when this resolves. One that lies there already, as a killed writer leaves it, is
   * replaced.
   *
   * @throws {OperatorError} `SECRETS_LOCKED`, `SECRET_UNREADABLE` when the key is gone, `DISK_FULL`
   */
  write(secret: SecretVersion, value: Uint8Array): Promise<void>;

  /** @throws {OperatorError} `SECRETS_LOCKED`, `SECRET_UNREADABLE` when it is gone, damaged, or of another key */
  read(secret: SecretVersion): Promise<Buffer>;

  /** Ends a value. One that is not there is fine; works while locked. */
  remove(secret: SecretVersion): Promise<void>;

  /** All values that are kept, sorted by app, environment, name and version; works while locked. */
  list(): Promise<readonly SecretVersion[]>;

  /** @throws {OperatorError} `SECRETS_LOCKED` when the passphrase is not the right one */
  unlock(passphrase: string): Promise<void>;

  /** From the next start on nothing is read without this passphrase; null: without one. @throws {OperatorError} `SECRETS_LOCKED` */
  protect(passphrase: string | null): Promise<void>;
}
