import { join } from "node:path";
import { createKeyring, type Keyring } from "../drivers/keys/keyring.ts";
import { shortKey } from "../trust/key-log.ts";
import type { Context } from "./context.ts";

/** The folder of the machine's signing keys. */
function keysFolder({ places }: Pick<Context, "places">): string {
  return join(places.state, "keys");
}

/** The signed log of the keys. */
export function keyLogPath(context: Pick<Context, "places">): string {
  return join(keysFolder(context), "log.jsonl");
}

/** The machine's signing keys; that the first one was made is said once. */
export function openKeyring(context: Pick<Context, "places" | "signal" | "output">): Keyring {
  return createKeyring(keysFolder(context), {
    now: Date.now,
    signal: context.signal,
    onFirstKey: ({ id }, path) =>
      context.output.note(
        `made this machine's signing key ${shortKey(id)} in ${path}; whoever can read it can sign as this machine`,
      ),
  });
}
