import { join } from "node:path";
import { createKeyring, type Keyring } from "../drivers/keys/keyring.ts";
import { formatDuration } from "../model/quantities.ts";
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
    onNearEnd: ({ id }, leftMs) =>
      context.output.note(
        `${context.output.paint.warn("warning:")} signing key ${shortKey(id)} is valid for ${formatDuration(leftMs)} more; \`bronze key rotate\` makes the next one`,
      ),
    onFirstKey: ({ id }, path) =>
      context.output.note(
        `made this machine's signing key ${shortKey(id)} in ${path}; whoever can read it can sign as this machine`,
      ),
  });
}
