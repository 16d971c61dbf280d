import { execFile } from "node:child_process";

/**
 * Tells a service manager that started this process that it is ready, and forgets how to, so that no child takes itself
 * for the service. Node has no unix datagrams: systemd's own command sends it.
 *
 * @see sd_notify(3), systemd-notify(1)
 */
export function tellReady(environment: NodeJS.ProcessEnv, onProblem: (problem: Error) => void): void {
  const { NOTIFY_SOCKET: socket } = environment;
  if (socket === undefined) return;
  delete environment["NOTIFY_SOCKET"];
  execFile("systemd-notify", ["--ready"], { env: { ...environment, NOTIFY_SOCKET: socket } }, (error) => {
    if (error !== null) onProblem(error);
  });
}
