import type { TransferOptions } from "../ports/registry.ts";
import type { BuildEvent } from "./options.ts";

/** Bytes on their way to or from a registry, shown as one step. */
export interface TransferStep {
  readonly progress: NonNullable<TransferOptions["progress"]>;
  /** Runs the transfer; the step shows only when there is something to transfer. */
  run<Result>(transfer: () => Promise<Result>): Promise<Result>;
}

export function createTransferStep(report: (event: BuildEvent) => void, step: string, text: string): TransferStep {
  const blobs = new Map<string, { readonly bytes: number; readonly of: number }>();
  const startedAt = performance.now();
  const sum = (): string => {
    const all = [...blobs.values()];
    const done = all.reduce((total, { bytes }) => total + bytes, 0);
    const of = all.reduce((total, blob) => total + blob.of, 0);
    return done === of ? inMb(of) : `${inMb(done)} of ${inMb(of)}`;
  };
  const ended = (how: "done" | "failed"): void => {
    if (blobs.size > 0) report({ kind: "ended", step, how, ms: performance.now() - startedAt, text: sum() });
  };
  return {
    progress({ digest, bytes, of }) {
      if (blobs.size === 0) report({ kind: "started", step, text });
      blobs.set(digest, { bytes, of });
      report({ kind: "progress", step, text: sum() });
    },
    async run(transfer) {
      try {
        const result = await transfer();
        ended("done");
        return result;
      } catch (error) {
        ended("failed");
        throw error;
      }
    },
  };
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
