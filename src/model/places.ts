import { join, resolve } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { digestHex, sha256 } from "./canonical.ts";

/** Where one daemon keeps what it has. All follow the state folder, so several daemons never meet. */
export interface Places {
  /** Ledger, store, layer images: survives a reboot. */
  readonly state: string;
  /** Sockets, bundles, mounts: gone after a reboot. */
  readonly run: string;
  /** Instances' output, the daemon's and the router's logs. */
  readonly log: string;
  /** The daemon's unix socket. */
  readonly socket: string;
  /** Eight hex digits, part of every name of a bridge, chain or cgroup. */
  readonly tag: string;
}

export const defaultStateDir = "/var/lib/bronze";

/**
 * @param stateDir the folder given by `--state` or `BRONZE_STATE`; default `/var/lib/bronze`
 * @throws {OperatorError} `ARGUMENT_INVALID` when the socket's path would be longer than the kernel takes (107 bytes), or the folder
 *   belongs to the kernel
 */
export function placesOf(stateDir: string = defaultStateDir): Places {
  // oxlint-disable-next-line no-control-regex -- control characters are what this refuses
  if (stateDir === "" || stateDir.startsWith("-") || /[\0-\u001f\u007f]/.test(stateDir)) {
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot use "${stateDir.slice(0, 80)}" as the state folder: no such name`,
      {
        hint: "name a folder on a disk, such as /var/lib/bronze",
      },
    );
  }
  const state = resolve(stateDir);
  if (/^\/(proc|sys|dev)(\/|$)/.test(state)) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${state}" as the state folder: it is the kernel's`, {
      hint: "choose a folder on a disk, such as /var/lib/bronze",
    });
  }
  const own = state !== defaultStateDir;
  const run = own ? join(state, "run") : "/run/bronze";
  const socket = join(run, "bronze.sock");
  if (Buffer.byteLength(socket) > 90) {
    throw new OperatorError(
      "ARGUMENT_INVALID",
      `Cannot use "${state.slice(0, 200)}" as the state folder: its path is too long for a socket`,
      {
        hint: "choose a folder whose path has at most 70 bytes",
      },
    );
  }
  return {
    state,
    run,
    log: own ? join(state, "log") : "/var/log/bronze",
    socket,
    tag: digestHex(sha256(state)).slice(0, 8),
  };
}
