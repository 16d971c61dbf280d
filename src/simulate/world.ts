import { Controller } from "../controller/controller.ts";
import type { ControllerPorts } from "../controller/ports.ts";
import { createVirtualClock, type VirtualClock } from "../drivers/memory/clock.ts";
import { createMemoryEvidence, type MemoryEvidence } from "../drivers/memory/evidence.ts";
import { createMemoryJournal } from "../drivers/memory/journal.ts";
import { createMemoryFacts } from "../drivers/memory/machine.ts";
import { createMemoryMetrics, type MemoryMetrics } from "../drivers/memory/metrics.ts";
import { createMemoryRouter, type MemoryRouter } from "../drivers/memory/router.ts";
import { createMemoryMachine, type MemoryMachine } from "../drivers/memory/runtime.ts";
import { createMemoryVolumes, type MemoryVolumes } from "../drivers/memory/volumes.ts";
import { createMemoryVerifier, type MemoryVerifier } from "../drivers/memory/verifier.ts";
import { createMemorySecrets, type MemorySecrets } from "../drivers/memory/secrets.ts";
import type { Journal } from "../ports/journal.ts";

/** A whole world in memory under a virtual clock: controllers come and go in it, instances and router stay. */
export interface World {
  readonly clock: VirtualClock;
  readonly machine: MemoryMachine;
  readonly router: MemoryRouter;
  readonly journal: Journal;
  readonly evidence: MemoryEvidence;
  readonly volumes: MemoryVolumes;
  readonly secrets: MemorySecrets;
  readonly metrics: MemoryMetrics;
  readonly verifier: MemoryVerifier;
  /**
   * Starts a controller, as a daemon does; its ports may be changed for it alone. Where a boot is given, it records that
   * it started on it.
   */
  startController(change?: (ports: ControllerPorts) => ControllerPorts, boot?: string): Promise<Controller>;
  /** Every process ends at once, and the router with them; a controller must have been stopped before. */
  cutPower(): void;
}

/** @param options.trusting whether its machine starts what must not run beside another, so that it shows */
export function createWorld(options: { readonly trusting?: boolean } = {}): World {
  const clock = createVirtualClock();
  const volumes = createMemoryVolumes(clock);
  const machine = createMemoryMachine({ clock, volumes, trusting: options.trusting === true });
  const router = createMemoryRouter();
  const journal = createMemoryJournal();
  const evidence = createMemoryEvidence();
  const secrets = createMemorySecrets();
  const metrics = createMemoryMetrics();
  const verifier = createMemoryVerifier();
  return {
    clock,
    machine,
    router,
    journal,
    evidence,
    volumes,
    secrets,
    metrics,
    verifier,
    cutPower() {
      machine.cutPower();
      router.reboot();
    },
    async startController(change = (ports) => ports, boot) {
      router.restart();
      const opened = secrets.open();
      const ports: ControllerPorts = {
        runtime: machine.runtime(opened),
        router,
        journal,
        clock,
        prober: machine.prober(),
        evidence,
        volumes,
        secrets: opened,
        verifier,
        metrics,
        machine: createMemoryFacts(),
      };
      const controller = new Controller(change(ports), () => {});
      if (boot !== undefined)
        controller.recorder.append({ kind: "daemon.started", version: "1", pid: 1, boot: { id: boot, upMs: 0 } });
      await controller.start();
      return controller;
    },
  };
}
