import { existsSync, readdirSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { EventData } from "../../ledger/event.ts";
import type { NetworkRecord } from "../../ledger/state.ts";
import type { EnvironmentName } from "../../model/names.ts";
import type { Clock } from "../../ports/clock.ts";
import { chooseSubnet, createAddressPool, routedSubnets, type AddressPool } from "./addresses.ts";
import { machineRoutes, parseSubnet, type Subnet } from "../../linux/routes.ts";
import { failureOf, run, runOrFail } from "../../linux/process.ts";

/** The network of one environment's instances: one bridge, one veth pair an instance, NAT to the outside. */
export interface Network {
  /** Makes bridge and rules, or finds them. */
  ready(): Promise<AddressPool>;
  /** Joins a made, not yet started instance to the bridge. */
  join(pid: number, name: string, address: string): Promise<void>;
  /** Name of an instance's interface on this machine: unique, since the kernel frees a name some time after the instance's end. */
  interfaceName(): string;
}

/** The networks of all environments; nothing passes from one to another. */
export interface Networks {
  /** The one of an environment, made at its first use. */
  of(environment: EnvironmentName): Network;
  /** An instance that had this address is gone. */
  giveBack(address: string): void;
  /** Takes all of them away. */
  remove(): Promise<void>;
}

export interface NetworksOptions {
  readonly tag: string;
  readonly run: string;
  /** Those the ledger knows. */
  readonly known: ReadonlyMap<EnvironmentName, NetworkRecord>;
  /** The subnet of the one network that all environments shared in earlier versions: the first that comes goes on with it. */
  readonly shared: string | null;
  readonly record: (data: EventData) => void;
  readonly clock: Clock;
  /** Six hex digits, another each time. */
  readonly unique: () => string;
}

/** Of the route that claims a subnet: tells it from the one that the kernel makes for an address. */
const claimProtocol = "static";
/** Daemons that start at the same moment are few. */
const mostClaims = 64;

/** How all bridges of instances begin, of this daemon and of others. */
const bridgePrefix = "bz";

/** Rules of one network in both tables, in the form `iptables-restore --noflush` takes. */
export function firewallRules(chain: string, bridge: string, subnet: string): string {
  return [
    "*filter",
    `:${chain} - [0:0]`,
    `-A ${chain} -i ${bridge} -o ${bridge} -j ACCEPT`,
    // Environments do not see each other, nor do other daemons' instances.
    `-A ${chain} -i ${bridge} -o ${bridgePrefix}+ -j DROP`,
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

export function createNetworks(options: NetworksOptions): Networks {
  const records = new Map(options.known);
  const networks = new Map<EnvironmentName, Network>();
  const pools = new Set<AddressPool>();

  function make(environment: EnvironmentName): Network {
    const known = records.get(environment);
    const number = known?.number ?? Math.max(-1, ...[...records.values()].map((one) => one.number)) + 1;
    records.set(environment, { number, subnet: known?.subnet ?? "" });
    return createNetwork({
      ...options,
      names: namesOf(options.tag, number),
      cursor: join(options.run, number === 0 ? cursorFile : `${cursorFile}-${number}`),
      recorded: known?.subnet,
      proposed: number === 0 ? (options.shared ?? undefined) : undefined,
      record: (subnet) => options.record({ kind: "network.chosen", subnet, environment, number }),
      onReady: (pool) => pools.add(pool),
    });
  }

  return {
    of(environment) {
      const there = networks.get(environment) ?? make(environment);
      networks.set(environment, there);
      return there;
    },
    giveBack(address) {
      for (const pool of pools) pool.giveBack(address);
    },
    async remove() {
      networks.clear();
      pools.clear();
      await removeNetworks(options.tag);
      for (const file of readdirSync(options.run))
        if (file.startsWith(cursorFile)) await rm(join(options.run, file), { force: true });
    },
  };
}

/** Beginning of the names of the files that say where a network's rotation of addresses is. */
const cursorFile = "next-address";

interface NetworkOptions extends Pick<NetworksOptions, "tag" | "clock" | "unique"> {
  readonly names: NetworkNames;
  readonly cursor: string;
  readonly recorded: string | undefined;
  /** Taken and recorded where none is recorded yet. */
  readonly proposed: string | undefined;
  readonly record: (subnet: string) => void;
  readonly onReady: (pool: AddressPool) => void;
}

function createNetwork(options: NetworkOptions): Network {
  const { bridge, chain } = options.names;
  let subnet = options.recorded ?? options.proposed;
  let pool: Promise<AddressPool> | undefined;

  async function setUp(): Promise<AddressPool> {
    const made = existsSync(`/sys/class/net/${bridge}`);
    if (!made) {
      const input = `link add ${bridge} type bridge forward_delay 0\nlink set ${bridge} up\n`;
      await runOrFail("make the instances' network", "ip", ["-batch", "-"], { input });
    }
    // Without a bridge no instance runs: what was recorded once, and is another's by now, may be given up.
    if (subnet === undefined || !(await claimSubnet(bridge, subnet))) subnet = await chooseAndClaim(subnet, made);
    else if (options.recorded === undefined) options.record(subnet);
    const addresses = createAddressPool(subnet, options.cursor, options.clock);
    const up = `addr replace ${addresses.gateway}/${addresses.prefix} dev ${bridge}\nlink set ${bridge} up\n`;
    await Promise.all([
      runOrFail("make the instances' network", "ip", ["-batch", "-"], { input: up }),
      allowForwarding(subnet),
    ]);
    // The address brought a route of its own, which comes back by itself whenever the bridge does.
    await run("ip", ["route", "del", subnet, "dev", bridge, "proto", claimProtocol]);
    options.onReady(addresses);
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
        options.record(chosen);
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

/** Bridges of a daemon that are there. */
export function bridgesOf(tag: string): readonly string[] {
  const { bridge } = namesOf(tag, 0);
  return readdirSync("/sys/class/net").filter((name) => name === bridge || name.startsWith(`${bridge}-`));
}

/** Takes all bridges and rules of a daemon away; what is not there need not go. */
export async function removeNetworks(tag: string): Promise<void> {
  const { chain: first } = namesOf(tag, 0);
  for (const { table, from } of jumps) {
    const { stdout } = await run("iptables", ["--wait", "10", "-t", table, "-S"]);
    const chains = [...stdout.matchAll(/^-N (\S+)$/gm)].map((match) => match[1] ?? "");
    for (const chain of chains.filter((name) => name === first || name.startsWith(`${first}-`))) {
      // A chain goes when nothing jumps to it and nothing is in it.
      for (const args of [
        ["-D", from, "-j", chain],
        ["-F", chain],
        ["-X", chain],
      ])
        await run("iptables", ["--wait", "10", "-t", table, ...args]);
    }
  }
  for (const bridge of bridgesOf(tag)) await runOrFail("remove the instances' network", "ip", ["link", "del", bridge]);
}

interface NetworkNames {
  readonly bridge: string;
  readonly chain: string;
}

/** The first one has the names of the only one of earlier versions. An interface's name has at most 15 characters. */
function namesOf(tag: string, number: number): NetworkNames {
  const suffix = number === 0 ? "" : `-${number}`;
  return { bridge: `${bridgePrefix}${tag}${suffix}`, chain: `BRONZE-${tag}${suffix}` };
}
