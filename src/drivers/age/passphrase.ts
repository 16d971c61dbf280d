import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";
import type { Identity, Recipient } from "age-encryption";
import { loadAge } from "./library.ts";

/**
 * age's own recipient for passphrases, with the key made from it in Node's thread pool: the library's way holds the
 * whole process up for more than a second.
 *
 * @see age-encryption.org/v1, "The scrypt recipient type"
 */
const label = Buffer.from("age-encryption.org/v1/scrypt");
/** 256 MiB and about a second: as age itself chooses. */
const workFactor = 18;
const mostWorkFactor = 20;
const blockSize = 8;
const keyBytes = 32;
const tagBytes = 16;
const zeroNonce = Buffer.alloc(12);

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);

function keyOf(passphrase: string, salt: Buffer, logN: number): Promise<Buffer> {
  const N = 2 ** logN;
  return derive(passphrase, Buffer.concat([label, salt]), keyBytes, {
    N,
    r: blockSize,
    p: 1,
    maxmem: 2 * 128 * N * blockSize,
  });
}

const encode = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");

export function passphraseRecipient(passphrase: string, logN = workFactor): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const salt = randomBytes(16);
      const cipher = createCipheriv("chacha20-poly1305", await keyOf(passphrase, salt, logN), zeroNonce, {
        authTagLength: tagBytes,
      });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      const { Stanza } = await loadAge();
      return [new Stanza(["scrypt", encode(salt), String(logN)], body)];
    },
  };
}

export function passphraseIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const [stanza] = stanzas;
      if (stanza === undefined || stanzas.length !== 1 || stanza.args[0] !== "scrypt") return null;
      const salt = Buffer.from(stanza.args[1] ?? "", "base64");
      const logN = Number(stanza.args[2]);
      if (salt.length !== 16 || !Number.isInteger(logN) || logN < 1 || logN > mostWorkFactor)
        throw new Error("the key file asks for an unlikely amount of work");
      const decipher = createDecipheriv("chacha20-poly1305", await keyOf(passphrase, salt, logN), zeroNonce, {
        authTagLength: tagBytes,
      });
      decipher.setAuthTag(stanza.body.subarray(-tagBytes));
      try {
        return Buffer.concat([decipher.update(stanza.body.subarray(0, -tagBytes)), decipher.final()]);
      } catch {
        // Another passphrase.
        return null;
      }
    },
  };
}
