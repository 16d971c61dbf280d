import type { HealthSettings } from "../model/content.ts";
import type { InstanceName } from "../model/names.ts";
import type { Clock } from "../ports/clock.ts";
import type { Prober, ProbeResult, ProbeTarget } from "../ports/prober.ts";
import { isPassed, probeTimeoutMs } from "../rollout/health.ts";

export interface ProbingOptions {
  readonly prober: Prober;
  readonly clock: Clock;
  /** @returns time until it is asked again, in ms; undefined: it is not */
  readonly onAnswer: (instance: InstanceName, passed: boolean, result: ProbeResult) => number | undefined;
}

/** An instance that is asked again and again. */
interface Asked {
  readonly target: ProbeTarget;
  readonly hear: (result: ProbeResult) => void;
  /** When it is asked next; null: its answer is on its way. */
  round: Round | null;
  /** What is still on its way is not told any more. */
  isOver: boolean;
}

/** Those that are asked in one millisecond, in the order in which that was found. */
interface Round {
  readonly atMs: number;
  readonly asked: Asked[];
  /** Those of them that are still to be asked. */
  waiting: number;
  readonly cancel: () => void;
}

/**
 * Asks instances how they are, each at once and again and again. There are many, started together and asked often: those
 * whose time comes in one millisecond have one timer.
 */
export class Probing {
  readonly #options: ProbingOptions;
  readonly #asked = new Map<InstanceName, Asked>();
  readonly #rounds = new Map<number, Round>();

  constructor(options: ProbingOptions) {
    this.#options = options;
  }

  /** One that is asked already is asked anew, as by what it listens to now. */
  begin(name: InstanceName, target: ProbeTarget, settings: HealthSettings): void {
    this.end(name);
    const hear = (result: ProbeResult): void => {
      if (asked.isOver) return;
      const againMs = this.#options.onAnswer(name, isPassed(settings, result), result);
      if (againMs !== undefined) this.#askIn(asked, againMs);
    };
    const asked: Asked = { target, hear, round: null, isOver: false };
    this.#asked.set(name, asked);
    this.#ask(asked);
  }

  end(name: InstanceName): void {
    const asked = this.#asked.get(name);
    if (asked === undefined) return;
    this.#asked.delete(name);
    asked.isOver = true;
    const { round } = asked;
    if (round === null) return;
    round.waiting -= 1;
    if (round.waiting > 0) return;
    round.cancel();
    this.#rounds.delete(round.atMs);
  }

  stop(): void {
    for (const name of this.#asked.keys()) this.end(name);
  }

  #ask(asked: Asked): void {
    asked.round = null;
    void this.#options.prober.probe(asked.target, probeTimeoutMs).then(asked.hear);
  }

  #askIn(asked: Asked, ms: number): void {
    // Told to end by what followed from its answer.
    if (asked.isOver) return;
    const { clock } = this.#options;
    const atMs = clock.now() + ms;
    let round = this.#rounds.get(atMs);
    if (round === undefined) {
      round = { atMs, asked: [], waiting: 0, cancel: clock.after(ms, () => this.#askRound(atMs)) };
      this.#rounds.set(atMs, round);
    }
    round.asked.push(asked);
    round.waiting += 1;
    asked.round = round;
  }

  #askRound(atMs: number): void {
    const round = this.#rounds.get(atMs);
    this.#rounds.delete(atMs);
    for (const asked of round?.asked ?? []) if (!asked.isOver) this.#ask(asked);
  }
}
