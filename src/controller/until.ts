import { OperatorError } from "../errors/operator-error.ts";
import type { Controller } from "./controller.ts";
import { onAbort } from "./on-abort.ts";

/**
 * Resolves when a condition holds, looked at after each event and every 100 ms.
 *
 * @param deadlineMs monotonic @returns false when the deadline came first
 * @throws {OperatorError} `INTERRUPTED` when the daemon stops meanwhile
 */
export function until(controller: Controller, condition: () => boolean, deadlineMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const { clock } = controller.ports;
    let cancel = (): void => {};
    let finished = false;
    const finish = (settle: () => void): void => {
      if (finished) return;
      finished = true;
      cancel();
      stopListening();
      stopAwaiting();
      settle();
    };
    const look = (): void => {
      if (condition()) finish(() => resolve(true));
      else if (clock.monotonic() >= deadlineMs) finish(() => resolve(false));
    };
    const onStop = (): void =>
      finish(() =>
        reject(
          new OperatorError(
            "DAEMON_UNREACHABLE",
            "Cannot wait any longer: the daemon stops; the rollout goes on when it is back",
            {
              hint: "see `bronze status`",
            },
          ),
        ),
      );
    const poll = (): void => {
      if (finished) return;
      cancel = clock.after(100, () => {
        look();
        poll();
      });
    };
    const stopListening = controller.recorder.listen(look);
    const stopAwaiting = onAbort(controller.signal, onStop);
    poll();
    look();
    if (controller.signal.aborted) onStop();
  });
}
