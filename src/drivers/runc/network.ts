import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import type { EventData } from "../../ledger/event.ts";
import type { Clock } from "../../ports/clock.ts";
import { chooseSubnet, createAddressPool, routedSubnets, type AddressPool } from "./addresses.ts";
import { machineRoutes, parseSubnet, type Subnet } from "../../linux/routes.ts";
import { failureOf, run, runOrFail } from "../../linux/process.ts";

/** The instances' network: one bridge, one veth pair an instance, NAT to the outside. */
export interface Network {
  /** Makes bridge and rules, or finds them. */
  ready(): Promise<AddressPool>;
  /** Joins a made, not yet started instance to the bridge. */
  join(pid: number, name: string, address: string): Promise<void>;
  /** Name of an instance's interface on this machine: unique, since the kernel frees a name some time after the instance's end. */
  interfaceName(): string;
  remove(): Promise<void>;
}

export interface NetworkOptions {
  readonly tag: string;
  readonly run: string;
  readonly subnet: string | undefined;
  readonly record: (data: EventData) => void;
  readonly clock: Clock;
  /** Six hex digits, another each time. */
  readonly unique: () => string;
}

/** Of the route that claims a subnet: tells it from the one that the kernel makes for an address. */
const claimProtocol = "static";
/** Daemons that start at the same moment are few. */
const mostClaims = 64;

/** Rules of ours in one table, in the form `iptables-restore --noflush` takes. */
export function firewallRules(chain: string, bridge: string, subnet: string): string {
  return [
    "*filter",
    `:${chain} - [0:0]`,
    `-A ${chain} -i ${bridge} -j ACCEPT`,
    `-A ${chain} -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    // Who wants to reach an instance goes through the router.
    `-A ${chain} -o ${bridge} -j DROP`,
    "COMMIT",
    "*nat",
    `:${chain} - [0:0]`,
    `-A ${chain} -s ${subnet} ! -o ${bridge} -j MASQUERADE`,
    "COMMIT",
    "",
  ].join("\n");
}

const jumps = [
  { table: "filter", from: "FORWARD" },
  { table: "nat", from: "POSTROUTING" },
] as const;

export function createNetwork(options: NetworkOptions): Network {
  const { bridge, chain } = namesOf(options.tag);
  let subnet = options.subnet;
  let pool: Promise<AddressPool> | undefined;

  async function setUp(): Promise<AddressPool> {
    const made = existsSync(`/sys/class/net/${bridge}`);
    if (!made) {
      const input = `link add ${bridge} type bridge forward_delay 0\nlink set ${bridge} up\n`;
      await runOrFail("make the instances' network", "ip", ["-batch", "-"], { input });
    }
    // Without a bridge no instance runs: what was recorded once, and is another's by now, may be given up.
    if (subnet === undefined || !(await claimSubnet(bridge, subnet))) subnet = await chooseAndClaim(subnet, made);
    const addresses = createAddressPool(subnet, options.run, options.clock);
    const up = `addr replace ${addresses.gateway}/${addresses.prefix} dev ${bridge}\nlink set ${bridge} up\n`;
    await Promise.all([
      runOrFail("make the instances' network", "ip", ["-batch", "-"], { input: up }),
      allowForwarding(subnet),
    ]);
    // The address brought a route of its own, which comes back by itself whenever the bridge does.
    await run("ip", ["route", "del", subnet, "dev", bridge, "proto", claimProtocol]);
    return addresses;
  }

  async function chooseAndClaim(lost: string | undefined, made: boolean): Promise<string> {
    if (lost !== undefined && made) {
      throw new OperatorError("MACHINE_REFUSED", `Cannot use ${lost} for instances: another network has it by now`, {
        hint: `\`ip route show ${lost}\` names it; end it, or run \`bronze down --all\` and \`bronze up\``,
      });
    }
    const lostOnes: Subnet[] = [];
    for (let tries = 0; tries < mostClaims; tries += 1) {
      const chosen = chooseSubnet(options.tag, [...(await routedSubnets(bridge)), ...lostOnes]);
      if (chosen === undefined) break;
      if (await claimSubnet(bridge, chosen)) {
        options.record({ kind: "network.chosen", subnet: chosen });
        return chosen;
      }
      lostOnes.push(parseSubnet(chosen));
    }
    throw new OperatorError(
      "MACHINE_LACKS",
      "Cannot choose a network for instances: every /20 of 10.128.0.0/9 is routed on this machine",
      {
        hint: "free a /20 of 10.128.0.0/9: `ip route` shows what is taken",
      },
    );
  }

  async function allowForwarding(ours: string): Promise<void> {
    // Left on when we go: others on this machine may have come to rely on it since.
    await writeFile("/proc/sys/net/ipv4/ip_forward", "1");
    await runOrFail("make firewall rules for instances", "iptables-restore", ["--noflush", "--wait", "10"], {
      input: firewallRules(chain, bridge, ours),
    });
    for (const { table, from } of jumps) {
      const rule = [from, "-j", chain];
      const there = await run("iptables", ["--wait", "10", "-t", table, "-C", ...rule]);
      if (there.code !== 0)
        await runOrFail("make firewall rules for instances", "iptables", ["--wait", "10", "-t", table, "-I", ...rule]);
    }
  }

  const ready = (): Promise<AddressPool> => {
    pool ??= setUp().catch((error: unknown) => {
      pool = undefined;
      throw error;
    });
    return pool;
  };

  return {
    ready,
    interfaceName: () => `z${options.tag}${options.unique()}`,
    async join(pid, name, address) {
      const { gateway, prefix } = await ready();
      const joined = runOrFail("join an instance to the network", "ip", ["-batch", "-"], {
        input: `link add ${name} up master ${bridge} type veth peer name eth0 netns ${pid}\n`,
      });
      // Starts up beside the first, and reads when that is done.
      const addressed = runOrFail(
        "give an instance its address",
        "nsenter",
        ["--target", String(pid), "--net", "ip", "-batch", "-"],
        {
          input: joined.then(
            () => `addr add ${address}/${prefix} dev eth0\nlink set eth0 up\nroute add default via ${gateway}\n`,
          ),
        },
      );
      await Promise.all([joined, addressed]);
    },
    async remove() {
      pool = undefined;
      await removeNetwork(options.tag);
    },
  };
}

/**
 * Takes a subnet for a bridge: the kernel lets only one exclusive route to it be made, so of two daemons that have chosen
 * the same at the same moment one yields.
 *
 * @returns false when another network has it
 * @see ip-route(8), `add`
 */
async function claimSubnet(bridge: string, subnet: string): Promise<boolean> {
  const { base, prefix } = parseSubnet(subnet);
  const routes = await machineRoutes();
  if (routes.some((route) => route.device === bridge && route.base === base && route.prefix === prefix)) return true;
  const claim = ["route", "add", subnet, "dev", bridge, "scope", "link", "proto", claimProtocol];
  const result = await run("ip", claim);
  if (result.code === 0) return true;
  if (result.stderr.includes("File exists")) return false;
  throw failureOf("make the instances' network", "ip", result);
}

/** Takes bridge and rules away; what is not there need not go. */
export async function removeNetwork(tag: string): Promise<void> {
  const { bridge, chain } = namesOf(tag);
  for (const { table, from } of jumps) {
    // A chain goes when nothing jumps to it and nothing is in it.
    for (const args of [
      ["-D", from, "-j", chain],
      ["-F", chain],
      ["-X", chain],
    ])
      await run("iptables", ["--wait", "10", "-t", table, ...args]);
  }
  if (existsSync(`/sys/class/net/${bridge}`))
    await runOrFail("remove the instances' network", "ip", ["link", "del", bridge]);
}

function namesOf(tag: string): { readonly bridge: string; readonly chain: string } {
  return { bridge: `bz${tag}`, chain: `BRONZE-${tag}` };
}
