import type { BytePath } from "../../image/tar-entry.ts";
import { fileRules, mayHoldSecret } from "./rules.ts";
import { lineOffset } from "./scan-layer.ts";
import { SecretScanner } from "./scanner.ts";

/** Looks for secrets in the files of a layer while it is written: only whether there are any, wherever they lie. */
export class WrittenSearch {
  readonly #scanner = new SecretScanner({ rules: true, values: [] }, () => void (this.#isClean = false));
  #isClean = true;

  /** A piece of a file, from its first byte to its last without a gap. */
  piece(path: BytePath, offset: number, piece: Uint8Array): void {
    // Its whole content is not at hand: what it is for is looked at when the layer is read.
    if (offset === 0 && mayHoldSecret(path)) this.#isClean = false;
    if (this.#isClean) this.#scanner.add(path, offset, piece);
  }

  endFile(): void {
    this.#scanner.endFile();
  }

  /** A whole file. @param isKnown true: nothing was found in these bytes before */
  file(path: BytePath, bytes: Buffer, isKnown: boolean): void {
    if (!this.#isClean) return;
    if (mayHoldSecret(path) && breaksRule(path, bytes.toString("latin1"))) this.#isClean = false;
    if (isKnown) return;
    this.#scanner.add(path, 0, bytes);
    this.#scanner.endFile();
  }

  /** @returns whether nothing was found */
  end(): boolean {
    this.#scanner.end();
    return this.#isClean;
  }
}

function breaksRule(path: BytePath, text: string): boolean {
  return fileRules.some((rule) => rule.path.test(path) && lineOffset(text, rule) !== undefined);
}
