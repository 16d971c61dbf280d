import { plainStrategy, type Amount, type Strategy } from "../model/strategy.ts";
import { defaultAnalysis, defaultErrorMetric, defaultMetric, type Analysis, type Metric } from "../model/analysis.ts";
import { previewHost } from "./contents.ts";
import { randomFrom, type Random } from "./random.ts";
import type { Act, Fault, Story, Traits } from "./story.ts";

/** Most things that people ask for in one run; it ends before where it has come far enough, as a rule after 18. */
const mostActs = 120;
/** Of 100 stories so many know analysis: what is measured takes most of their time. */
const analysedPerCent = 15;

/** The story of a seed: the same one each time. */
export function makeStory(seed: number): Story {
  const random = randomFrom(seed);
  const analyses = random.chance(analysedPerCent);
  const contents = Array.from({ length: random.between(3, 6) }, (_, index) => traits(random, index, analyses));
  const everyMs = random.pick([60, 80, 120]);
  const acts: Act[] = [];
  const faults: Fault[] = [];
  let atMs = 100;
  for (let index = 0; index < mostActs; index += 1) {
    const next = act(random, atMs, index, { contents: contents.length, analyses });
    acts.push(next);
    const pauseMs = pause(random, next);
    for (let left = random.pick([0, 0, 1, 1, 1, 2]); left > 0; left -= 1)
      faults.push(fault(random, atMs + random.below(pauseMs + 500)));
    atMs += pauseMs;
  }
  faults.sort((a, b) => a.atMs - b.atMs);
  return { seed, everyMs, contents, acts, faults };
}

/** The first content is a good one: there is something to go back to. */
function traits(random: Random, index: number, analyses: boolean): Traits {
  const good: Traits = {
    startMs: random.pick([0, 5, 60, 300]),
    readyMs: random.pick([0, 20, 200, 900]),
    spreadMs: random.pick([0, 0, 0, 5, 60]),
    latencyMs: random.between(2, 60),
    capacity: random.between(2, 20),
    errorPercent: 0,
    exitMs: null,
    endsOnTerm: !random.chance(10),
  };
  if (index === 0) return good;
  const measured =
    analyses && random.chance(60) ? random.pick(["badly", "badly", "badly", "wavering", "nothing", "unknown"]) : "well";
  if (random.chance(60)) return { ...good, measured };
  return {
    ...good,
    measured,
    ...random.pick<Partial<Traits>>([
      { readyMs: null },
      { readyMs: random.between(2_000, 7_000) },
      { exitMs: random.below(300) },
      { exitMs: random.between(1_000, 8_000) },
      { errorPercent: random.between(8, 100) },
      { capacity: 1, latencyMs: 400 },
    ]),
  };
}

/** Only in a few runs a person lets nothing go on by itself. */
function strategy(random: Random, analyses: boolean): Strategy {
  const roll = random.below(100);
  if (roll < 32 && !(analyses && random.chance(60))) {
    const amount = (): Amount => random.pick<Amount>(["0%", 1, "25%", "25%", "50%", "100%"]);
    const analysis = analyses && random.chance(30) ? { analysis: analysed(random) } : {};
    return { kind: "rolling", maxSurge: amount(), maxUnavailable: amount(), ...analysis };
  }
  if (roll < 56) {
    const holdMs = (): number | null => (random.chance(6) ? null : random.pick([0, 100, 500, 1_500]));
    const weights = random.pick<readonly number[]>([
      [1_000, 5_000],
      [500, 2_500, 5_000],
      [1, 9_999],
      [3_333],
      [2_000, 4_000, 6_000, 8_000],
    ]);
    const analysis = analyses && random.chance(90) ? analysed(random) : undefined;
    return {
      kind: "canary",
      steps: weights.map((weight, index) => {
        return { weight, holdMs: holdMs(), analyse: analysis !== undefined && (index === 0 || random.chance(30)) };
      }),
      ...(analysis === undefined ? {} : { analysis }),
    };
  }
  if (roll < 64) return { kind: "recreate" };
  if (roll < 76) {
    const preview = random.chance(50) ? { preview: { host: previewHost, path: "/" } } : {};
    const analysis = analyses && random.chance(40) ? { analysis: analysed(random, false) } : {};
    return {
      kind: "blue-green",
      holdMs: random.chance(15) ? null : random.between(200, 2_000),
      ...preview,
      ...analysis,
    };
  }
  return plainStrategy;
}

/** @param isCounted whether the new content has requests that tell something */
function analysed(random: Random, isCounted = true): Analysis {
  if (isCounted && random.chance(50)) return defaultAnalysis;
  const check: Metric = {
    ...defaultMetric,
    name: "check",
    provider: { kind: "command", command: ["check", "$release"] },
    initialDelayMs: random.pick([0, 0, 3_000]),
    intervalMs: random.pick([1_000, 2_500]),
    count: random.pick([1, 3, null]),
    success: { of: "result", is: ">=", than: 1 },
    failureLimit: random.pick([0, 0, 0, 1, 2]),
    inconclusiveLimit: random.pick([0, 1]),
    errorLimit: random.pick([0, 2, 4]),
    successLimit: random.pick([null, null, 2]),
  };
  return { metrics: isCounted && random.chance(30) ? [check, defaultErrorMetric] : [check] };
}

/** Some small, most large: what takes many instances comes to many steps soon. */
function instances(random: Random): number {
  const roll = random.below(100);
  if (roll < 15) return random.between(4, 7);
  return roll < 45 ? random.between(8, 14) : random.between(18, 24);
}

/** Some come while the one before is still under way; what is analysed takes its time. */
function pause(random: Random, before: Act): number {
  if (before.kind === "deploy" && "analysis" in before.strategy && random.chance(75))
    return random.between(5_000, 15_000);
  return random.chance(45) ? random.below(500) : random.between(500, 2_000);
}

function act(
  random: Random,
  atMs: number,
  index: number,
  { contents, analyses }: { readonly contents: number; readonly analyses: boolean },
): Act {
  const roll = index === 0 ? 0 : random.below(100);
  if (roll < 58) {
    return {
      atMs,
      kind: "deploy",
      content: index === 0 ? 0 : random.below(contents),
      variant: random.below(4),
      strategy: strategy(random, analyses),
      instances: instances(random),
      deadlineMs: random.pick([4_000, 10_000, 60_000, 120_000]),
      healthDeadlineMs: random.pick([1_500, 3_000, 10_000]),
      minReadyMs: random.pick([0, 0, 200, 1_000]),
      watchMs: random.pick([0, 1_000, 3_000]),
      keepWarmMs: random.pick([0, 2_000, 20_000]),
      drainMs: random.pick([0, 500, 3_000]),
      twice: random.chance(8),
    };
  }
  if (roll < 74) return { atMs, kind: "rollback", back: random.chance(70) ? null : random.between(1, 5) };
  if (roll < 83) return { atMs, kind: "scale", instances: instances(random) };
  if (roll < 89) return { atMs, kind: "config", value: random.below(4) };
  if (roll < 97) return { atMs, kind: random.pick(["pause", "resume", "resume", "complete", "abort"]) };
  if (roll < 99) return { atMs, kind: "allow", back: random.below(4) };
  return { atMs, kind: "down" };
}

function fault(random: Random, atMs: number): Fault {
  const which = random.below(1_000);
  const forMs = random.between(200, 6_000);
  const roll = random.below(100);
  if (roll < 22) {
    // Half of all daemons die at a call, half where they stand.
    const calls = random.chance(70) ? random.between(1, 60) : 0;
    const moment = random.pick(["before", "middle", "after"]);
    return { atMs, kind: "kill", calls, moment, awayMs: random.pick([0, 200, 2_000]) };
  }
  if (roll < 36) return { atMs, kind: "exit", which };
  if (roll < 44) return { atMs, kind: "answer", which, status: random.pick([500, 503, null]), forMs: forMs * 2 };
  if (roll < 50) return { atMs, kind: "flap", which, everyMs: random.between(300, 2_500), times: random.between(2, 6) };
  if (roll < 54) return { atMs, kind: "orphan", which };
  if (roll < 58) return { atMs, kind: "drift", which };
  if (roll < 63) return { atMs, kind: "slow-starts", byMs: random.between(500, 6_000), forMs };
  if (roll < 67) return { atMs, kind: "no-starts", full: random.chance(50), forMs };
  if (roll < 76) {
    const port = random.pick(["router", "runtime"]);
    return { atMs, kind: "refused", port, calls: random.between(1, 5), lost: random.chance(50) };
  }
  if (roll < 81) return { atMs, kind: "slow-router", byMs: random.between(50, 2_000), calls: random.between(1, 8) };
  if (roll < 86)
    return { atMs, kind: "doubled", port: random.pick(["router", "runtime"]), calls: random.between(1, 8) };
  if (roll < 90) return { atMs, kind: "journal-full", forMs: Math.min(forMs, 2_000) };
  if (roll < 92) return { atMs, kind: "memory-short", forMs };
  if (roll < 93) return { atMs, kind: "log-lost" };
  if (roll < 97)
    return { atMs, kind: "clock-jump", byMs: random.pick([3_600_000, -3_600_000, 2_500, -86_400_000, 900]) };
  return { atMs, kind: "power-cut", awayMs: random.pick([0, 1_000, 5_000]) };
}
