import { existsSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Places } from "../../model/places.ts";
import { tryCommand } from "../doctor/try-command.ts";
import { unitName } from "./unit.ts";

/** @see sd_booted(3) */
export function isSystemdRunning(): boolean {
  return existsSync("/run/systemd/system");
}

export function unitPath(places: Places): string {
  return join("/etc/systemd/system", unitName(places));
}

/** Whether systemd starts this state folder's daemon. */
export function isInstalled(places: Places): boolean {
  return isSystemdRunning() && existsSync(unitPath(places));
}

/** @param timeoutMs starting a service waits until it is ready @throws {OperatorError} `MACHINE_REFUSED` */
export async function systemctl(args: readonly string[], timeoutMs?: number): Promise<void> {
  const { ok, text } = await tryCommand("systemctl", args, timeoutMs);
  if (ok) return;
  throw new OperatorError("MACHINE_REFUSED", `Cannot ${args.join(" ")}: systemd refused`, {
    hint: `see \`systemctl status ${args.at(-1) ?? ""}\` and \`journalctl -u ${args.at(-1) ?? ""}\``,
    cause: text,
  });
}

export async function isActive(unit: string): Promise<boolean> {
  return (await tryCommand("systemctl", ["is-active", "--quiet", unit])).ok;
}
