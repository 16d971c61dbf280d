import { Controller } from "../controller/controller.ts";
import type { ControllerPorts } from "../controller/ports.ts";
import { createVirtualClock, type VirtualClock } from "../drivers/memory/clock.ts";
import { createMemoryJournal } from "../drivers/memory/journal.ts";
import { createMemoryRouter, type MemoryRouter } from "../drivers/memory/router.ts";
import { createMemoryMachine, type MemoryMachine } from "../drivers/memory/runtime.ts";
import type { Journal } from "../ports/journal.ts";

/** A whole world in memory under a virtual clock: controllers come and go in it, instances and router stay. */
export interface World {
  readonly clock: VirtualClock;
  readonly machine: MemoryMachine;
  readonly router: MemoryRouter;
  readonly journal: Journal;
  /** Starts a controller, as a daemon does; its ports may be changed for it alone. */
  startController(change?: (ports: ControllerPorts) => ControllerPorts): Promise<Controller>;
}

export function createWorld(): World {
  const clock = createVirtualClock();
  const machine = createMemoryMachine({ clock });
  const router = createMemoryRouter();
  const journal = createMemoryJournal();
  return {
    clock,
    machine,
    router,
    journal,
    async startController(change = (ports) => ports) {
      router.restart();
      const ports: ControllerPorts = {
        runtime: machine.runtime(),
        router,
        journal,
        clock,
        prober: machine.prober,
        machine: { memory: () => ({ totalBytes: 8e9, availableBytes: 6e9 }) },
      };
      const controller = new Controller(change(ports), () => {});
      await controller.start();
      return controller;
    },
  };
}
