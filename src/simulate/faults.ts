import type { InstanceName } from "../model/names.ts";
import type { Trouble } from "./life.ts";
import type { Fault } from "./story.ts";
import type { Stage } from "./stage.ts";

/** What is still to go wrong with calls of a port. */
export interface Troubles {
  /** The trouble that the next call of a port has, if any. */
  take(port: "router" | "runtime"): Trouble | undefined;
  clear(): void;
}

/** How daemons come to their ends. */
export interface Deaths {
  /** The daemon dies at the `calls`-th of its next calls; 0: at once. */
  kill(calls: number, moment: "before" | "middle" | "after", awayMs: number): void;
  cutPower(awayMs: number): void;
}

export interface Faults extends Troubles {
  /** Lets something go wrong. @returns whether there was anything for it to go wrong with */
  strike(fault: Fault): boolean;
}

export function createFaults(stage: Stage, deaths: Deaths): Faults {
  const { clock, machine, router, journal } = stage;
  let troubles: { readonly port: "router" | "runtime"; readonly trouble: Trouble; left: number }[] = [];
  /** What was to follow later is not to any more when this is another number. */
  let chapter = 0;

  function later(ms: number, callback: () => void): void {
    const own = chapter;
    clock.after(ms, () => {
      if (chapter === own) callback();
    });
  }

  /** One of the instances that run. */
  function chosen(which: number): InstanceName | undefined {
    const names: InstanceName[] = [];
    for (const { seen } of machine.instances())
      if (seen.phase === "running" && seen.address !== null) names.push(seen.name);
    return names[which % Math.max(1, names.length)];
  }

  function answer(name: InstanceName, status: number | null, forMs: number): void {
    if (machine.instance(name) === undefined) return;
    stage.touch(name, forMs);
    machine.answer(name, status);
    later(forMs, () => {
      if (machine.instance(name) !== undefined) machine.answer(name, 200);
    });
  }

  function flap(name: InstanceName, everyMs: number, times: number): void {
    stage.touch(name, everyMs * (times + 1));
    answer(name, 503, everyMs / 2);
    if (times > 1) later(everyMs, () => flap(name, everyMs, times - 1));
  }

  function withInstance(which: number, strike: (name: InstanceName) => void): boolean {
    const name = chosen(which);
    if (name === undefined) return false;
    strike(name);
    return true;
  }

  function trouble(port: "router" | "runtime", calls: number, what: Trouble): boolean {
    troubles.push({ port, trouble: what, left: calls });
    return true;
  }

  return {
    strike(fault) {
      const untilMs = "forMs" in fault ? stage.nowMs + fault.forMs : 0;
      switch (fault.kind) {
        case "exit":
          return withInstance(fault.which, (name) => {
            stage.touch(name);
            machine.exit(name, 137);
          });
        case "answer":
          return withInstance(fault.which, (name) => answer(name, fault.status, fault.forMs));
        case "flap":
          return withInstance(fault.which, (name) => flap(name, fault.everyMs, fault.times));
        case "orphan":
          return withInstance(fault.which, (name) => machine.orphan(name));
        case "drift":
          return withInstance(fault.which, (name) => machine.change(name, { imageIntact: false }));
        case "slow-starts":
          stage.lasting.slowStarts = { untilMs, byMs: fault.byMs };
          return true;
        case "no-starts":
          stage.lasting.noStarts = { untilMs, full: fault.full };
          stage.hinder(fault.forMs);
          return true;
        case "refused":
          return trouble(fault.port, fault.calls, { kind: fault.lost ? "lost" : "refused" });
        case "doubled":
          return trouble(fault.port, fault.calls, { kind: "doubled" });
        case "slow-router":
          return trouble("router", fault.calls, { kind: "delayed", byMs: fault.byMs });
        case "journal-full":
          journal.fill(true);
          stage.hinder(fault.forMs);
          later(fault.forMs, () => journal.fill(false));
          return true;
        case "memory-short":
          stage.lasting.shortUntilMs = untilMs;
          return true;
        case "log-lost":
          router.loseLog();
          return true;
        case "clock-jump":
          clock.jump(fault.byMs);
          return true;
        case "kill":
          if (stage.life === null) return false;
          deaths.kill(fault.calls, fault.moment, fault.awayMs);
          return true;
        case "power-cut":
          deaths.cutPower(fault.awayMs);
          return true;
      }
    },
    take(port) {
      if (troubles.length === 0) return undefined;
      const found = troubles.find((one) => one.port === port);
      if (found === undefined) return undefined;
      found.left -= 1;
      if (found.left === 0) troubles = troubles.filter((one) => one !== found);
      stage.hinder(found.trouble.kind === "delayed" ? found.trouble.byMs : 0);
      return found.trouble;
    },
    clear() {
      chapter += 1;
      troubles = [];
      journal.fill(false);
      for (const { seen } of machine.instances()) if (seen.phase === "running") machine.answer(seen.name, 200);
      stage.lasting.slowStarts = { untilMs: 0, byMs: 0 };
      stage.lasting.noStarts = { untilMs: 0, full: false };
      stage.lasting.shortUntilMs = 0;
    },
  };
}

/** A fault in a few words. */
export function faultText(fault: Fault): string {
  const { atMs: _, kind, ...rest } = fault;
  const details = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  return `${kind}${details.length === 0 ? "" : ` (${details.join(", ")})`}`;
}
