import { Controller } from "../controller/controller.ts";
import type { ControllerPorts } from "../controller/ports.ts";
import { Recorder } from "../controller/recorder.ts";
import { createMemoryFacts } from "../drivers/memory/machine.ts";
import type { MemoryJournal } from "../drivers/memory/journal.ts";
import { OperatorError } from "../errors/operator-error.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { InstanceName } from "../model/names.ts";
import type { ProbeResult, ProbeTarget } from "../ports/prober.ts";
import type { ObservedInstance, Runtime } from "../ports/runtime.ts";
import { planEnvironment, type Planner } from "../rollout/plan.ts";
import type { Deaths, Troubles } from "./faults.ts";
import { portsOfLife, type Effect, type Life, type LifeHooks, type Moment } from "./life.ts";
import type { Stage } from "./stage.ts";
import { timed } from "./timed.ts";

/** The world's own ports. */
export type Drivers = ControllerPorts & { readonly journal: MemoryJournal };

/** What a daemon may be made of besides the real thing, to see whether it is found out. */
export interface Changes {
  readonly drivers?: (drivers: Drivers, stage: Stage) => Drivers;
  readonly planner?: (planner: Planner, stage: Stage) => Planner;
}

/** Events that tell of a step that was applied, or of something that was seen; others are asked for, or intents. */
const countedEvents: ReadonlySet<LedgerEvent["data"]["kind"]> = new Set<LedgerEvent["data"]["kind"]>([
  "release.proven",
  "release.taken_back",
  "watch.warned",
  "watch.held",
  "set.retired",
  "set.yielded",
  "set.removed",
  "instance.healthy",
  "instance.exited",
  "instance.condemned",
  "instance.removed",
  "instances.failed",
  "rollout.aborted",
  "rollout.stepped",
  "rollout.paused",
  "content.quarantined",
  "drift.found",
]);

/** More calls than this at one moment are a circle. */
const mostCallsAtOnce = 3_000;
/** How soon a daemon that could not start is started again, in ms. */
const restartMs = 500;

/** Starts daemons, lets them die, and starts others after them. */
export class Daemons implements Deaths {
  readonly #stage: Stage;
  readonly #changes: Changes;
  readonly #troubles: () => Troubles;
  readonly #onStart: () => void;
  #plan: { calls: number; readonly moment: Moment; readonly awayMs: number } | null = null;
  #boot = 1;
  #restart: (() => void) | null = null;

  constructor(stage: Stage, changes: Changes, troubles: () => Troubles, onStart: () => void) {
    this.#stage = stage;
    this.#changes = changes;
    this.#troubles = troubles;
    this.#onStart = onStart;
  }

  start(): void {
    const stage = this.#stage;
    const { tally, clock } = stage;
    this.#restart?.();
    this.#restart = null;
    tally.lives += 1;
    const life: Life = { number: tally.lives, bornAtMs: stage.nowMs, dead: false, timers: 0 };
    stage.life = life;
    stage.router.restart();
    const secrets = stage.secrets.open();
    const world: Drivers = {
      runtime: refusing(
        stage,
        stage.machine.runtime(secrets, () => !life.dead),
      ),
      router: stage.router,
      journal: stage.journal,
      clock,
      prober: stage.machine.prober(this.#probed()),
      evidence: stage.evidence,
      verifier: stage.verifier,
      volumes: stage.volumes,
      secrets,
      metrics: stage.metrics,
      machine: createMemoryFacts(() => stage.nowMs < stage.lasting.shortUntilMs),
    };
    const made = stage.draw === null ? world : timed(world, stage.draw);
    try {
      const ports = portsOfLife(life, this.#changes.drivers?.(made, stage) ?? made, this.#hooks(life));
      const recorder = new Recorder(ports.journal, ports.clock);
      for (const watcher of stage.watchers) watcher.started?.();
      const planner = this.#changes.planner?.(planEnvironment, stage) ?? planEnvironment;
      const controller = new Controller(
        ports,
        (level, message, details) => this.#log(life, level, message, details),
        recorder,
        planner,
      );
      recorder.append({
        kind: "daemon.started",
        version: "1",
        pid: life.number,
        boot: { id: `boot ${this.#boot}`, upMs: 0 },
      });
      controller.start().then(
        () => {
          if (life.dead) return;
          stage.controller = controller;
          this.#onStart();
        },
        (error: unknown) => this.#failedToStart(life, error),
      );
    } catch (error) {
      this.#failedToStart(life, error);
    }
  }

  kill(calls: number, moment: Moment, awayMs: number): void {
    this.#plan = { calls, moment, awayMs };
    if (calls === 0 && this.#stage.life !== null) this.#die(this.#stage.life, awayMs, false);
  }

  cutPower(awayMs: number): void {
    const stage = this.#stage;
    if (stage.life !== null) this.#die(stage.life, awayMs, false);
    stage.machine.cutPower();
    stage.router.reboot();
    stage.journal.cutPower();
    stage.refold();
    this.#boot += 1;
    for (const watcher of stage.watchers) watcher.powerCut?.();
  }

  /** No daemon dies from now on. */
  spare(): void {
    this.#plan = null;
    if (this.#stage.life === null) this.start();
  }

  #failedToStart(life: Life, error: unknown): void {
    if (life.dead) return;
    this.#stage.tell(() => `daemon ${life.number} could not start: ${String(error)}`);
    this.#die(life, restartMs, false);
  }

  #die(life: Life, awayMs: number, isHalfDone: boolean): void {
    const stage = this.#stage;
    if (life.dead) return;
    life.dead = true;
    stage.life = null;
    stage.controller = null;
    this.#plan = null;
    stage.machine.interrupt();
    stage.tell(() => `daemon ${life.number} dies${isHalfDone ? " in the midst of a call" : ""}, away for ${awayMs} ms`);
    this.#restart?.();
    this.#restart = stage.clock.after(awayMs, () => {
      this.#restart = null;
      this.start();
    });
  }

  #log(life: Life, level: string, message: string, details?: object): void {
    if (life.dead) return;
    this.#stage.tell(() => `daemon ${life.number} says: ${message} ${JSON.stringify(details ?? {}).slice(0, 300)}`);
    if (level === "error") for (const watcher of this.#stage.watchers) watcher.complaint?.(message);
  }

  /** Looks at what the probes of one daemon tell. */
  #probed(): (target: ProbeTarget, result: ProbeResult) => void {
    const { tally } = this.#stage;
    const passes = new Map<string, boolean>();
    return ({ address }, result) => {
      const before = passes.get(address);
      const passed = result.kind === "accepted" || (result.kind === "answered" && result.status < 400);
      if (before === passed) return;
      passes.set(address, passed);
      // That it passed for the first time is an event, and counted as such.
      if (before === true) tally.steps += 1;
    };
  }

  #hooks(life: Life): LifeHooks {
    const stage = this.#stage;
    const { tally } = stage;
    const known = new Map<InstanceName, ObservedInstance>();
    let callsNow = 0;
    let lastCallMs = 0;
    const each = (tell: (watcher: Stage["watchers"][number]) => void): void => {
      for (const watcher of stage.watchers) tell(watcher);
    };
    return {
      dies: () => {
        callsNow = stage.nowMs === lastCallMs ? callsNow + 1 : 1;
        lastCallMs = stage.nowMs;
        if (callsNow > mostCallsAtOnce) {
          each((watcher) => watcher.complaint?.(`a daemon calls others ${callsNow} times at one moment, and goes on`));
          return "before";
        }
        const plan = this.#plan;
        if (plan === null) return undefined;
        plan.calls -= 1;
        return plan.calls <= 0 ? plan.moment : undefined;
      },
      died: (isHalfDone) => this.#die(life, this.#plan?.awayMs ?? restartMs, isHalfDone),
      trouble: (port) => {
        const trouble = this.#troubles().take(port);
        if (trouble !== undefined) stage.tell(() => `a call of the ${port} is ${trouble.kind}`);
        return trouble;
      },
      issued: (effect) => {
        for (const tell of stage.listening.issued) tell(effect);
      },
      before: (effect) => {
        stage.tell(() => effectText(effect));
        for (const tell of stage.listening.before) tell(effect);
      },
      after: (effect) => {
        for (const tell of stage.listening.after) tell(effect);
      },
      applied: () => void (tally.steps += 1),
      appended: (events) => {
        for (const { data } of events) {
          if (countedEvents.has(data.kind)) tally.steps += 1;
          if (data.kind === "release.created" && (data.settings ?? stage.record?.settings)?.instances !== undefined) {
            const { instances } = data.settings ?? stage.record?.settings ?? { instances: 0 };
            if (instances >= 4) tally.rollouts += 1;
          }
        }
        if (stage.isTelling) for (const { data } of events) stage.tell(() => `ledger: ${eventText(data)}`);
        stage.append(events);
      },
      acknowledged: (events, isIntent) => {
        for (const tell of stage.listening.acknowledged) tell(events, isIntent);
      },
      observed: (instances) => {
        for (const now of instances) {
          const before = known.get(now.name);
          if (before === now) continue;
          known.set(now.name, now);
          const isUp = before !== undefined && before.address !== null;
          if (before?.phase !== now.phase || isUp !== (now.address !== null)) tally.steps += 1;
        }
      },
    };
  }
}

/** A machine on which nothing can be started for a while. */
function refusing(stage: Stage, runtime: Runtime): Runtime {
  return {
    ...runtime,
    ensure(set, wanted, signal) {
      const { untilMs, full } = stage.lasting.noStarts;
      if (stage.nowMs >= untilMs) return runtime.ensure(set, wanted, signal);
      const code = full ? "DISK_FULL" : "RUNTIME_FAILED";
      const why = full ? "the disk is full" : "no memory for another process";
      return Promise.reject(
        new OperatorError(code, `Cannot start instances of ${set.name}: ${why}`, { hint: "make room" }),
      );
    },
  };
}

function effectText(effect: Effect): string {
  switch (effect.kind) {
    case "ensure":
      return `machine: ${effect.set} ${effect.process} is to have ${effect.count}`;
    case "remove":
      return `machine: end ${effect.instances.join(" ")}`;
    case "place":
      return `router: ${effect.set} is ${effect.instances.map((name) => name.slice(effect.set.length)).join(" ") || "nowhere"}`;
    case "route":
      return `router: ${effect.rule === null ? "no route" : JSON.stringify(effect.rule)}`;
    case "drain":
    case "cut":
      return `router: ${effect.kind} ${effect.instances.join(" ")}`;
  }
}

function eventText(data: LedgerEvent["data"]): string {
  const {
    kind,
    app: _,
    environment: __,
    content: ___,
    digest: ____,
    settings: _____,
    cause: ______,
    ...rest
  } = data as unknown as Record<string, unknown>;
  return `${String(kind)} ${JSON.stringify(rest).slice(0, 200)}`;
}
