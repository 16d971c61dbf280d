import { createHash } from "node:crypto";
import type { Recorder } from "../controller/recorder.ts";
import { keepCheckpoint, readCheckpoints } from "../drivers/checkpoints/file.ts";
import { OperatorError } from "../errors/operator-error.ts";
import {
  believeCheckpoint,
  checkpointStatement,
  fingerprint,
  serialiseEntry,
  type BelievedCheckpoint,
  type Checkpoint,
} from "../ledger/checkpoint.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { CheckpointReport } from "../model/api/trust.ts";
import type { Digest } from "../model/canonical.ts";
import type { Clock } from "../ports/clock.ts";
import type { Journal } from "../ports/journal.ts";
import type { Signer } from "../ports/signer.ts";
import { serialiseBundle } from "../trust/bundle.ts";
import { serialiseStatement } from "../trust/statement.ts";
import { ledgerPages } from "./ledger-pages.ts";

/** After a release went live, so that its own work comes first, in ms. */
const afterReleaseMs = 2_000;
/** After the daemon's start. */
const firstAfterMs = 60_000;

export interface CheckpointOptions {
  readonly stateDir: string;
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly signer: Signer;
  readonly clock: Clock;
  /** How often one is made where anything happened, in ms; null: only when it is asked for. */
  readonly everyMs: number | null;
  readonly onError: (error: unknown) => void;
  /** Other than a daemon's, for tests. */
  readonly afterReleaseMs?: number;
}

/** Signs what the ledger was, again and again. */
export interface Checkpoints {
  /** Signs the ledger's head, unless the last checkpoint is about it. @throws what the signer throws, {OperatorError} `DISK_FULL` */
  make(): Promise<CheckpointReport>;
  /** What is wrong with the ledger by what was signed of it, in words; null: nothing that is known. */
  problem(): string | null;
  /** From now on by itself: at intervals, and after each release. */
  start(): void;
  stop(): Promise<void>;
}

/** To be made when all that the ledger holds is on disk: only what no power cut can take away is signed. */
export function createCheckpoints(options: CheckpointOptions): Checkpoints {
  const { stateDir, journal, recorder, signer, clock, everyMs, onError } = options;
  let durable = recorder.state.seq;
  let problem: string | null = null;
  let work: Promise<unknown> = Promise.resolve();
  let last: { readonly checkpoint: Checkpoint; readonly report: CheckpointReport } | null = null;
  let reader: LedgerReader | undefined;
  const cancels = new Set<() => void>();
  let isStopped = false;
  const unlisten = recorder.listen(heard);

  function heard(event: LedgerEvent): void {
    durable = event.seq;
    if (event.data.kind === "traffic.switched" && isStarted && everyMs !== null)
      later(options.afterReleaseMs ?? afterReleaseMs);
  }

  let isStarted = false;
  function later(ms: number, then: () => void = () => {}): void {
    const cancel = clock.after(ms, () => {
      cancels.delete(cancel);
      void make().catch(onError).finally(then);
    });
    cancels.add(cancel);
  }
  function again(): void {
    if (everyMs !== null && !isStopped) later(everyMs, again);
  }

  /** Goes on from the last checkpoint that is kept, where that is about this ledger. */
  async function firstReader(): Promise<LedgerReader> {
    const kept = await latestKept(stateDir, signer, clock.wall());
    const first = new LedgerReader(kept?.sequence ?? 0);
    await first.read(journal, durable);
    if (kept === undefined || first.markHead === kept.head) return first;
    if (!first.isSalvaged) {
      problem = "the ledger is not what was signed of it before: see `bronze audit verify`";
      onError(new OperatorError("LEDGER_DAMAGED", `Cannot go on from the last checkpoint: ${problem}`, { hint: "" }));
    }
    return new LedgerReader(0);
  }

  async function sign(): Promise<CheckpointReport> {
    reader ??= await firstReader();
    await reader.read(journal, durable);
    const { ledger, head, sequence } = reader;
    if (ledger === null || head === null)
      throw new OperatorError("NOT_FOUND", "Cannot sign the ledger: nothing is in it", { hint: "try again" });
    if (last?.checkpoint.head === head) return { ...last.report, isNew: false };
    const at = new Date(clock.wall()).toISOString();
    const checkpoint: Checkpoint = { ledger, sequence, head, at, events: reader.events() };
    const payload = serialiseStatement(checkpointStatement(checkpoint));
    const { keyId, signature } = await signer.sign(payload);
    const entry = { bundle: serialiseBundle(keyId, payload, signature), ...reader.since() };
    await keepCheckpoint(stateDir, entry);
    reader.kept();
    const report: CheckpointReport = { sequence, head, at, key: keyId, entry: serialiseEntry(entry), isNew: true };
    last = { checkpoint, report };
    return report;
  }

  function make(): Promise<CheckpointReport> {
    const made = work.then(sign);
    work = made.catch(() => undefined);
    return made;
  }

  return {
    make,
    problem: () => problem,
    start() {
      isStarted = true;
      if (everyMs !== null) later(Math.min(everyMs, firstAfterMs), again);
    },
    async stop() {
      isStopped = true;
      isStarted = false;
      unlisten();
      for (const cancel of cancels) cancel();
      await work;
    },
  };
}

/** Goes through the ledger, some of it at a time, and remembers what the next checkpoint says of it. */
class LedgerReader {
  ledger: Digest | null = null;
  head: Digest | null = null;
  sequence = 0;
  /** Digest of the event at which the last kept checkpoint ends. */
  markHead: Digest | null = null;
  /** A person had the ledger cut before that. */
  isSalvaged = false;
  readonly #mark: number;
  readonly #all = createHash("sha256");
  #after: number;
  #since: Buffer[] = [];

  /** @param mark number of the event at which the last kept checkpoint ends; 0: there is none */
  constructor(mark: number) {
    this.#mark = mark;
    this.#after = mark;
  }

  /** @param until the last event to be read */
  async read(journal: Journal, until: number): Promise<void> {
    for await (const page of ledgerPages(journal, this.sequence)) {
      for (const event of page) {
        if (event.seq > until) return;
        const print = fingerprint(event);
        this.ledger ??= event.hash;
        this.head = event.hash;
        this.sequence = event.seq;
        this.#all.update(print);
        if (event.seq === this.#mark) this.markHead = event.hash;
        if (event.seq <= this.#mark && event.data.kind === "ledger.salvaged") this.isSalvaged = true;
        if (event.seq > this.#after) this.#since.push(print);
      }
    }
  }

  events(): Digest {
    return `sha256:${this.#all.copy().digest("hex")}` as Digest;
  }

  since(): { readonly after: number; readonly fingerprints: Buffer } {
    return { after: this.#after, fingerprints: Buffer.concat(this.#since) };
  }

  kept(): void {
    this.#after = this.sequence;
    this.#since = [];
  }
}

async function latestKept(stateDir: string, signer: Signer, nowMs: number): Promise<BelievedCheckpoint | undefined> {
  const entries = await readCheckpoints(stateDir);
  const trust = await signer.trust();
  for (const entry of entries.toReversed()) {
    if (typeof entry === "string") continue;
    const checkpoint = believeCheckpoint(entry.bundle, trust, nowMs);
    if (typeof checkpoint !== "string") return checkpoint;
  }
  return undefined;
}
