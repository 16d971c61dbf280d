import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { replaceFile } from "./durable.ts";

const blockBytes = 4096;

/**
 * A text file that is replaced while somebody waits. Renaming a fresh file over an old one makes ext4 write it out first
 * (`auto_da_alloc`), which takes over a millisecond; a spare whose blocks the disk has given already does not. Spares are
 * made after each replacement, off the path of who waits.
 *
 * The file is padded with empty lines. A power cut may leave the spare's: nothing but empty lines.
 */
export class QuickFile {
  readonly #path: string;
  readonly #spare: string;
  #spareBytes = 0;
  #making: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
    this.#spare = `${path}.spare`;
  }

  /** Whoever opens the file from now on finds all of this text, and before all of the old one. */
  replace(text: string): void {
    const bytes = Buffer.from(text);
    const spareBytes = this.#spareBytes;
    this.#spareBytes = 0;
    if (spareBytes > 0 && bytes.length <= spareBytes) {
      const file = openSync(this.#spare, "r+");
      try {
        const padded = Buffer.alloc(spareBytes, "\n");
        bytes.copy(padded);
        for (let at = 0; at < padded.length;) at += writeSync(file, padded, at, padded.length - at, at);
      } finally {
        closeSync(file);
      }
      renameSync(this.#spare, this.#path);
    } else {
      try {
        replaceFile(this.#path, text);
      } catch (error) {
        if (!this.#overwrite(bytes)) throw error;
      }
    }
    this.#making = this.#making.then(() => this.#makeSpare(bytes.length)).catch(() => {});
  }

  /** Waits for the spare under way and takes it away. */
  async close(): Promise<void> {
    await this.#making;
    this.#spareBytes = 0;
    rmSync(this.#spare, { force: true });
  }

  /**
   * On a full disk: over the blocks that the file has, in one write. Only what is started at that very moment could read
   * it half-way, and a way back to a release that works must not wait for room.
   */
  #overwrite(bytes: Buffer): boolean {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes.length > size) return false;
    const file = openSync(this.#path, "r+");
    try {
      const padded = Buffer.alloc(size, "\n");
      bytes.copy(padded);
      return writeSync(file, padded, 0, size, 0) === size;
    } finally {
      closeSync(file);
    }
  }

  async #makeSpare(textBytes: number): Promise<void> {
    if (this.#spareBytes > 0) return;
    const size = Math.ceil((textBytes + blockBytes / 2) / blockBytes) * blockBytes;
    const file = await open(this.#spare, "w", 0o600);
    try {
      await file.writeFile(Buffer.alloc(size, "\n"));
      await file.datasync();
    } finally {
      await file.close();
    }
    this.#spareBytes = size;
  }
}
