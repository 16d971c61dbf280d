import type { OpenRequest } from "../drivers/memory/router.ts";
import type { InstanceName } from "../model/names.ts";
import type { Stage } from "./stage.ts";
import type { Traits } from "./story.ts";

interface Running {
  readonly request: OpenRequest;
  readonly startedAtMs: number;
  readonly drainMs: number;
  readonly isSteady: boolean;
  readonly endsAtMs: number;
  readonly status: number;
}

/** Every so many requests one takes long, as uploads and streams do. */
const longEvery = 40;
const longMs = 2_500;

/** Clients that ask for a page now and then, through the router. Instances answer by their traits, slower under load. */
export interface Load {
  start(): void;
  stop(): void;
}

export function createLoad(stage: Stage): Load {
  const { clock, router, machine, story, tally } = stage;
  const running: Running[] = [];
  const busy = new Map<InstanceName, number>();
  /** Percents that each content owes, so that its share of errors is exact. */
  const owed = story.contents.map(() => 0);
  let cancel = (): void => {};

  function finish(): void {
    const now = stage.nowMs;
    let left = 0;
    for (const one of running) {
      const { request, startedAtMs, endsAtMs, status } = one;
      const instance = machine.instance(request.instance);
      if (request.isOpen() && endsAtMs > now && instance?.seen.phase === "running") {
        running[left] = one;
        left += 1;
        continue;
      }
      busy.set(request.instance, (busy.get(request.instance) ?? 1) - 1);
      // Its instance ended under it, or it was cut off.
      const isWhole = request.isOpen() && instance?.seen.phase === "running";
      if (!isWhole)
        for (const tell of stage.listening.broken)
          tell(request, { afterMs: now - startedAtMs, drainMs: one.drainMs, isSteady: one.isSteady });
      request.end(isWhole ? status : null, 1);
      if (!isWhole || status >= 500) tally.failed += 1;
    }
    running.length = left;
  }

  function begin(): void {
    const request = router.request("shop.example", "/");
    tally.requests += 1;
    if ("waits" in request) return;
    if (!("end" in request)) {
      tally.failed += 1;
      for (const tell of stage.listening.request) tell(null, request.status);
      return;
    }
    const instance = machine.instance(request.instance);
    const isUp = instance?.seen.phase === "running" && instance.readyAtMs <= stage.nowMs;
    const own = isUp ? (instance.status ?? 504) : 503;
    const traits = instance === undefined ? undefined : stage.traits(instance);
    const status = own < 500 && traits !== undefined ? statusOf(traits) : own;
    for (const tell of stage.listening.request) tell(request, own);
    if (instance === undefined || traits === undefined || status >= 500) {
      request.end(status, 1);
      tally.failed += 1;
      return;
    }
    const { latencyMs, capacity } = traits;
    const others = busy.get(request.instance) ?? 0;
    busy.set(request.instance, others + 1);
    const isLong = tally.requests % longEvery === 0;
    const tookMs = isLong ? longMs : latencyMs * (1 + Math.max(0, others - capacity) / capacity);
    running.push({
      request,
      startedAtMs: stage.nowMs,
      drainMs: instance.set.content.settings.drainMs,
      isSteady: stage.isSteady(request.instance, instance),
      endsAtMs: stage.nowMs + tookMs,
      status,
    });
  }

  function statusOf(traits: Traits): number {
    const index = story.contents.indexOf(traits);
    const owes = (owed[index] ?? 0) + traits.errorPercent;
    owed[index] = owes >= 100 ? owes - 100 : owes;
    return owes >= 100 ? 500 : 200;
  }

  function tick(): void {
    finish();
    begin();
    for (const look of stage.listening.look) look();
    cancel = clock.quietly(story.everyMs, tick);
  }

  return {
    start: () => void (cancel = clock.quietly(story.everyMs, tick)),
    stop() {
      cancel();
      for (const { request } of running) request.end(null, 0);
      running.length = 0;
    },
  };
}
