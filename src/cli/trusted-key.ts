import { open } from "node:fs/promises";
import { OperatorError } from "../errors/operator-error.ts";
import { logOfKey } from "../trust/key-log.ts";
import type { TrustMaterial } from "../trust/standing.ts";
import type { Context } from "./context.ts";
import { openKeyring } from "./keyring.ts";

/** What signatures are held against: this machine's keys, or the one of a file. */
export function trustOf(context: Context, keyFile: string | undefined): Promise<TrustMaterial> {
  return keyFile === undefined ? openKeyring(context).trust() : readTrustedKey(keyFile);
}

/**
 * The public key of another machine, believed instead of this one's.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID`
 */
export async function readTrustedKey(path: string): Promise<TrustMaterial> {
  const refused = (state: string, cause?: unknown): OperatorError =>
    new OperatorError("ARGUMENT_INVALID", `Cannot use "${path}" as a public key: ${state}`, {
      hint: "on the machine that built it, `bronze key export` prints the key; it is ECDSA P-256 in PEM",
      ...(cause === undefined ? {} : { cause }),
    });
  const file = await open(path, "r").catch((cause: unknown) => {
    throw refused("it cannot be read", cause);
  });
  try {
    const bytes = Buffer.alloc(mostKeyBytes);
    const { bytesRead } = await file.read(bytes, 0, mostKeyBytes, 0);
    const log = logOfKey(bytes.toString("utf8", 0, bytesRead));
    if (log !== undefined) return { log, standing: new Map() };
  } finally {
    await file.close();
  }
  throw refused("there is no key of that kind in it");
}

const mostKeyBytes = 4096;
