import type { BuildEvent } from "../options.ts";

/** What a step wrote: its beginning and its end, with how many bytes between them are not kept. */
export interface StepOutput {
  readonly start: Buffer;
  readonly leftOut: number;
  readonly end: Buffer;
}

/** Of a step, in bytes, at its beginning and again at its end. */
const keptBytes = 128 << 10;

/** Keeps what steps write, by the name of the step. */
export function collectOutput(): {
  readonly event: (event: BuildEvent) => void;
  readonly of: (step: string) => StepOutput | undefined;
} {
  const outputs = new Map<string, Output>();
  return {
    event(event) {
      if (event.kind !== "output") return;
      let output = outputs.get(event.step);
      if (output === undefined) outputs.set(event.step, (output = new Output()));
      output.add(event.bytes);
    },
    of: (step) => outputs.get(step)?.kept(),
  };
}

class Output {
  readonly #start: Buffer[] = [];
  #startBytes = 0;
  #end: Buffer[] = [];
  #endBytes = 0;
  #leftOut = 0;

  add(piece: Buffer): void {
    const first = piece.subarray(0, keptBytes - this.#startBytes);
    if (first.byteLength > 0) this.#start.push(Buffer.from(first));
    this.#startBytes += first.byteLength;
    const rest = piece.subarray(first.byteLength);
    if (rest.byteLength === 0) return;
    this.#end.push(Buffer.from(rest));
    this.#endBytes += rest.byteLength;
    if (this.#endBytes > 2 * keptBytes) this.#cut();
  }

  #cut(): void {
    const all = Buffer.concat(this.#end);
    const kept = all.subarray(Math.max(0, all.byteLength - keptBytes));
    this.#leftOut += all.byteLength - kept.byteLength;
    this.#end = [Buffer.from(kept)];
    this.#endBytes = kept.byteLength;
  }

  kept(): StepOutput {
    this.#cut();
    return { start: Buffer.concat(this.#start), leftOut: this.#leftOut, end: Buffer.concat(this.#end) };
  }
}

/** All that is kept of it, as a log has it. */
export function outputText({ start, leftOut, end }: StepOutput): Buffer {
  const gap = leftOut === 0 ? [] : [Buffer.from(`\n[${leftOut} bytes left out]\n`)];
  const text = Buffer.concat([start, ...gap, end]);
  return text.byteLength === 0 || text.at(-1) === 0x0a ? text : Buffer.concat([text, Buffer.from("\n")]);
}
