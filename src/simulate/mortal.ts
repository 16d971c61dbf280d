import type { Controller } from "../controller/controller.ts";
import type { ControllerPorts } from "../controller/ports.ts";
import type { World } from "./world.ts";

/** When it dies: before the call comes into effect, or after. */
export type Moment = "before" | "after";

/** Thrown into the code that appends as its process ends: nothing it still does reaches the world. */
class Killed extends Error {}

/** Calls that change the world; the rest only look at it. */
const effects = new Set([
  "prepare",
  "ensure",
  "remove",
  "release",
  "place",
  "route",
  "drain",
  "cut",
  "startTask",
  "attach",
  "snapshot",
  "write",
]);

/**
 * Ports of a daemon that dies at an append to its ledger or at a call that changes the world, before or after it comes
 * into effect: what it calls after that never answers.
 *
 * @param next asked at each of these; undefined: it lives on
 */
export function mortal(ports: ControllerPorts, next: () => Moment | undefined): ControllerPorts {
  let dead = false;
  const never = new Promise<never>(() => {});

  function through<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]): unknown => {
          if (dead) return never;
          const moment = effects.has(String(name)) ? next() : undefined;
          dead ||= moment === "before";
          if (dead) return never;
          const answer = Reflect.apply(member, target, args) as unknown;
          if (moment !== "after") return answer;
          const die = (): Promise<never> => {
            dead = true;
            return never;
          };
          return (answer as Promise<unknown>).then(die, die);
        };
      },
    });
  }

  function dying(append: ControllerPorts["journal"]["append"]): ControllerPorts["journal"]["append"] {
    return (events) => {
      if (dead) throw new Killed();
      const moment = next();
      dead = moment !== undefined;
      if (moment === "before") throw new Killed();
      const appended = append(events);
      if (moment === "after") throw new Killed();
      return appended;
    };
  }

  const { journal } = ports;
  return {
    ...ports,
    runtime: through(ports.runtime),
    router: through(ports.router),
    prober: through(ports.prober),
    evidence: through(ports.evidence),
    verifier: through(ports.verifier),
    volumes: through(ports.volumes),
    secrets: through(ports.secrets),
    journal: { ...journal, append: dying(journal.append), appendIntent: dying(journal.appendIntent) },
  };
}

/**
 * Starts a daemon that dies at one of the appends and effects from now on.
 *
 * @param at which of them, from 1 on
 * @returns the daemon's controller, and how many of them there were so far
 */
export async function startMortal(
  world: World,
  at: number,
  moment: Moment,
): Promise<{ readonly controller: Controller; readonly points: () => number }> {
  let started = false;
  let count = 0;
  const controller = await world.startController((ports) =>
    mortal(ports, () => {
      if (started) count += 1;
      return started && count === at ? moment : undefined;
    }),
  );
  started = true;
  return { controller, points: () => count };
}
