import { OperatorError } from "../errors/operator-error.ts";
import type { Controller } from "./controller.ts";
import { onAbort } from "./on-abort.ts";

/** How often it is looked whether a condition holds that no event may tell of, in ms. */
const pollMs = 100;

/**
 * Resolves when a condition holds, looked at after each event and every 100 ms.
 *
 * @param deadlineMs monotonic @returns false when the deadline came first
 * @throws {OperatorError} `DAEMON_UNREACHABLE` when the daemon stops meanwhile
 */
export function until(controller: Controller, condition: () => boolean, deadlineMs: number): Promise<boolean> {
  const { clock } = controller.ports;
  const isLate = (): boolean => clock.monotonic() >= deadlineMs;
  const holdsNow = condition();
  if (holdsNow || isLate()) return Promise.resolve(holdsNow);
  if (controller.signal.aborted) return Promise.reject(stopped());
  return new Promise((resolve, reject) => {
    let waits = true;
    let cancel = (): void => {};
    const end = (settle: () => void): void => {
      waits = false;
      cancel();
      stop();
      settle();
    };
    const look = (): void => {
      const holds = condition();
      if (holds || isLate()) end(() => resolve(holds));
    };
    const poll = (): void => {
      if (!waits) return;
      cancel = clock.after(pollMs, () => {
        look();
        poll();
      });
    };
    const stop = watch(controller, look, () => end(() => reject(stopped())));
    poll();
  });
}

/**
 * Resolves when a condition holds that nothing but an event makes true: looked at after each one.
 *
 * @throws {OperatorError} `DAEMON_UNREACHABLE` when the daemon stops meanwhile
 */
export function untilRecorded(controller: Controller, condition: () => boolean): Promise<void> {
  if (condition()) return Promise.resolve();
  if (controller.signal.aborted) return Promise.reject(stopped());
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      stop();
      settle();
    };
    const look = (): void => {
      if (condition()) end(resolve);
    };
    const stop = watch(controller, look, () => end(() => reject(stopped())));
  });
}

/** Calls back after each event, and when the daemon stops. @returns the way to end both */
function watch(controller: Controller, onEvent: () => void, onStop: () => void): () => void {
  const stopListening = controller.recorder.listen(onEvent);
  const stopAwaiting = onAbort(controller.signal, onStop);
  return () => {
    stopListening();
    stopAwaiting();
  };
}

function stopped(): OperatorError {
  return new OperatorError(
    "DAEMON_UNREACHABLE",
    "Cannot wait any longer: the daemon stops; the rollout goes on when it is back",
    { hint: "see `bronze status`" },
  );
}
