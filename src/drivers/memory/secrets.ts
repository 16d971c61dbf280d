import { OperatorError } from "../../errors/operator-error.ts";
import { secretText, type SecretVersion } from "../../model/secret.ts";
import type { Secrets } from "../../ports/secrets.ts";

/** A keeper in memory: values live on, processes with their `open()` come and go. */
export interface MemorySecrets {
  /** The values as a (new) process sees them. */
  open(): Secrets;
  /** Makes a value unreadable, as damage on disk does. */
  damage(secret: SecretVersion): void;
}

const keyOf = ({ app, environment, name, version }: SecretVersion): string =>
  [app, environment, name, String(version).padStart(9, "0")].join("/");

export function createMemorySecrets(): MemorySecrets {
  const values = new Map<string, { readonly secret: SecretVersion; readonly value: Buffer | null }>();
  let passphrase: string | null = null;

  return {
    damage: (secret) => void values.set(keyOf(secret), { secret, value: null }),
    open() {
      let isOpen = passphrase === null;
      const check = (): void => {
        if (isOpen) return;
        throw new OperatorError("SECRETS_LOCKED", "Cannot use secrets: they are locked", {
          hint: "give the passphrase: `bronze secret unlock`",
        });
      };
      return {
        state: async () => (isOpen ? "open" : "locked"),
        async write(secret, value) {
          check();
          values.set(keyOf(secret), { secret, value: Buffer.from(value) });
        },
        async read(secret) {
          check();
          const value = values.get(keyOf(secret))?.value;
          if (value !== undefined && value !== null) return Buffer.from(value);
          throw new OperatorError("SECRET_UNREADABLE", `Cannot read secret ${secretText(secret)}`, {
            hint: "give it a new value",
          });
        },
        remove: async (secret) => void values.delete(keyOf(secret)),
        list: async () => [...values].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { secret }]) => secret),
        async unlock(given) {
          if (passphrase !== null && given !== passphrase) {
            throw new OperatorError("SECRETS_LOCKED", "Cannot unlock secrets: it is another passphrase", {
              hint: "give the one that was set last",
            });
          }
          isOpen = true;
        },
        async protect(next) {
          check();
          passphrase = next;
        },
      };
    },
  };
}
