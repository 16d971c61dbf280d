import { run, runOrFail } from "../../linux/process.ts";

/** Tells what comes from a step from all else, between the filter's rules and address translation. */
const mark = "0x00b00000/0x00b00000";

const jumps = [
  { table: "filter", from: "FORWARD" },
  { table: "nat", from: "POSTROUTING" },
] as const;

/** Interfaces of all builders' steps begin so, whosever they are. */
export const stepInterfaces = "y";
/** Bridges of all daemons' instances begin so. */
const instanceBridges = "bz";

function chainOf(name: string): string {
  return `BRONZE-B-${name}`;
}

/**
 * One builder's rules, in the form `iptables-restore --noflush` takes: its steps reach everything but instances and other steps, and
 * nobody reaches them.
 *
 * @param name eight hex digits, which its steps' interfaces have after the first letter
 */
export function stepFirewallRules(name: string): string {
  const chain = chainOf(name);
  const ours = `${stepInterfaces}${name}+`;
  return [
    "*filter",
    `:${chain} - [0:0]`,
    `-A ${chain} -i ${ours} -o ${instanceBridges}+ -j DROP`,
    `-A ${chain} -i ${ours} -o ${stepInterfaces}+ -j DROP`,
    `-A ${chain} -i ${ours} -j MARK --set-xmark ${mark}`,
    `-A ${chain} -i ${ours} -j ACCEPT`,
    `-A ${chain} -o ${ours} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A ${chain} -o ${ours} -j DROP`,
    `-I FORWARD 1 -j ${chain}`,
    "COMMIT",
    "*nat",
    `:${chain} - [0:0]`,
    `-A ${chain} -m mark --mark ${mark} -j MASQUERADE`,
    `-I POSTROUTING 1 -j ${chain}`,
    "COMMIT",
    "",
  ].join("\n");
}

export async function addStepFirewall(name: string): Promise<void> {
  await runOrFail("make firewall rules for build steps", "iptables-restore", ["--noflush", "--wait", "10"], {
    input: stepFirewallRules(name),
  });
}

/** Takes a builder's rules away; what is not there need not go. */
export async function removeStepFirewall(name: string): Promise<void> {
  const chain = chainOf(name);
  const input = jumps.flatMap(({ table, from }) => [
    `*${table}`,
    `-D ${from} -j ${chain}`,
    `-F ${chain}`,
    `-X ${chain}`,
    "COMMIT",
  ]);
  const all = await run("iptables-restore", ["--noflush", "--wait", "10"], { input: `${input.join("\n")}\n` });
  if (all.code === 0) return;
  // Made or removed in part only: then what is there goes, one after the other.
  for (const { table, from } of jumps)
    for (const args of [
      ["-D", from, "-j", chain],
      ["-F", chain],
      ["-X", chain],
    ])
      await run("iptables", ["--wait", "10", "-t", table, ...args]);
}
