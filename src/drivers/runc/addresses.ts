import { OperatorError } from "../../errors/operator-error.ts";
import type { Clock } from "../../ports/clock.ts";
import { readText, replaceFile } from "../../linux/files.ts";
import { formatIpv4, machineRoutes, overlaps, parseIpv4, parseSubnet, type Subnet } from "../../linux/routes.ts";

const poolBase = parseIpv4("10.128.0.0");
const subnetPrefix = 20;
const subnetCount = 2 ** (subnetPrefix - 9);

/**
 * A /20 of 10.128.0.0/9 that no route of the machine touches. The search begins where `tag` says, so that daemons that
 * start at the same time do not meet.
 *
 * @param tag eight hex digits
 * @returns undefined when all are taken
 */
export function chooseSubnet(tag: string, taken: readonly Subnet[]): string | undefined {
  const first = Number.parseInt(tag, 16) % subnetCount;
  for (let step = 0; step < subnetCount; step += 1) {
    const base = poolBase + ((first + step) % subnetCount) * 2 ** (32 - subnetPrefix);
    if (!taken.some((other) => overlaps({ base, prefix: subnetPrefix }, other)))
      return `${formatIpv4(base)}/${subnetPrefix}`;
  }
  return undefined;
}

/** Networks that others than this device have. */
export async function routedSubnets(own: string): Promise<readonly Subnet[]> {
  return (await machineRoutes()).filter(({ device }) => device !== own);
}

export interface AddressPool {
  readonly gateway: string;
  readonly prefix: number;
  /**
   * The next address that nobody has, or had in the last minute.
   *
   * @throws {OperatorError} `MACHINE_REFUSED` when there is none
   */
  take(held: ReadonlySet<string>): Promise<string>;
  giveBack(address: string): void;
}

/** How long an address rests: longer than anyone remembers the instance that had it. */
const restMs = 60_000;

/**
 * Addresses in rotation, so that one comes back as late as possible; the place in the rotation survives a restart.
 *
 * @param cursorPath file for the place in the rotation
 */
export function createAddressPool(subnet: string, cursorPath: string, clock: Clock): AddressPool {
  const { base, prefix } = parseSubnet(subnet);
  const count = 2 ** (32 - prefix);
  const resting = new Map<string, number>();
  const taken = new Set<string>();
  let cursor = Number(readText(cursorPath) ?? 2);
  let saved: Promise<void> = Promise.resolve();
  const free = (address: string, held: ReadonlySet<string>): boolean =>
    !held.has(address) && !taken.has(address) && (resting.get(address) ?? -Infinity) + restMs < clock.monotonic();
  return {
    gateway: formatIpv4(base + 1),
    prefix,
    async take(held) {
      for (let tries = 0; tries < count; tries += 1) {
        const host = cursor;
        cursor = cursor + 1 < count - 1 ? cursor + 1 : 2;
        const address = formatIpv4(base + host);
        if (host < 2 || host > count - 2 || !free(address, held)) continue;
        taken.add(address);
        saved = saved.then(() => replaceFile(cursorPath, String(cursor)));
        await saved;
        return address;
      }
      throw new OperatorError(
        "MACHINE_REFUSED",
        `Cannot give an instance an address: none is free in ${subnet}, ${held.size} are in use`,
        {
          hint: `run fewer instances on this machine; an address comes back ${restMs / 1000} s after its instance has ended`,
        },
      );
    },
    giveBack(address) {
      taken.delete(address);
      const now = clock.monotonic();
      for (const [other, since] of resting) if (since + restMs < now) resting.delete(other);
      resting.set(address, now);
    },
  };
}
