import { readFile } from "node:fs/promises";

/** IPv4 as a number. */
export function parseIpv4(text: string): number {
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

export interface Subnet {
  readonly base: number;
  readonly prefix: number;
}

export function parseSubnet(text: string): Subnet {
  const [address = "", prefix = ""] = text.split("/");
  return { base: parseIpv4(address), prefix: Number(prefix) };
}

/** Whether two networks have an address in common. */
export const overlaps = (a: Subnet, b: Subnet): boolean => {
  const prefix = Math.min(a.prefix, b.prefix);
  const mask = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
  return (a.base & mask) >>> 0 === (b.base & mask) >>> 0;
};

/** A network that the machine has a route to. */
export interface MachineRoute extends Subnet {
  readonly device: string;
}

/** All routes of the machine, the default route left out. @see proc_net(5), /proc/net/route */
export async function machineRoutes(): Promise<readonly MachineRoute[]> {
  const lines = (await readFile("/proc/net/route", "utf8")).split("\n").slice(1);
  return lines.flatMap((line) => {
    const columns = line.split("\t");
    const swap = (hex: string): number => Number.parseInt(hex.match(/../g)?.reverse().join("") ?? "0", 16);
    const mask = swap(columns[7] ?? "");
    if (columns.length < 8 || mask === 0) return [];
    return [{ device: columns[0] ?? "", base: swap(columns[1] ?? ""), prefix: Math.clz32(~mask >>> 0) }];
  });
}
