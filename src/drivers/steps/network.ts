import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { OperatorError } from "../../errors/operator-error.ts";
import type { NetworkUse } from "../../ports/step-runner.ts";
import { readText } from "../../linux/files.ts";
import { failureOf, run } from "../../linux/process.ts";
import { formatIpv4, machineRoutes, overlaps, parseIpv4 } from "../../linux/routes.ts";
import { addStepFirewall, removeStepFirewall } from "./firewall.ts";

/** The network of one builder's steps: each has a pair of interfaces of its own to this machine, and NAT from there on. */
export interface StepNetwork {
  /** Connects a step's network namespace. @param pid a process in it @param name of the interface on this machine */
  join(pid: number, name: string): Promise<void>;
  /** What has gone over a step's interface, whose namespace is still there. */
  use(name: string): NetworkUse;
  close(): Promise<void>;
}

/** Two addresses, of this machine and of the step; taken where instances' are, from what no route of the machine touches. */
const pool = { base: parseIpv4("10.128.0.0"), pairs: 2 ** 22 };
const pairPrefix = 31;
/** Steps that take the same addresses at the same moment are few. */
const mostClaims = 64;

/** @param name of the builder's firewall rules, eight hex digits */
export function createStepNetwork(name: string): StepNetwork {
  let ready: Promise<void> | undefined;

  const setUp = async (): Promise<void> => {
    // Left on when we go: others on this machine may have come to rely on it since.
    await writeFile("/proc/sys/net/ipv4/ip_forward", "1");
    await addStepFirewall(name);
  };

  /** The kernel lets only one exclusive route to a pair be made: of two steps that chose the same one, one chooses again. */
  async function connect(pid: number, device: string): Promise<{ readonly host: string; readonly step: string }> {
    const made = [
      `link add ${device} type veth peer name eth0 netns ${pid}`,
      // Nothing of IPv6 of its own accord: it would count as received.
      ...(existsSync("/proc/sys/net/ipv6") ? [`link set ${device} addrgenmode none`] : []),
      `link set ${device} up`,
    ];
    const routes = await machineRoutes();
    for (let tries = 0; tries < mostClaims; tries += 1) {
      const base = pool.base + 2 * randomInt(pool.pairs);
      if (routes.some((route) => overlaps(route, { base, prefix: pairPrefix }))) continue;
      const [host, step] = [formatIpv4(base), formatIpv4(base + 1)];
      const claim = `route add ${host}/${pairPrefix} dev ${device} scope link proto static`;
      const input = [...made.splice(0), claim, `addr add ${host}/32 dev ${device}`, ""].join("\n");
      const result = await run("ip", ["-batch", "-"], { input });
      if (result.code === 0) return { host, step };
      if (!result.stderr.includes("File exists")) throw failureOf("connect a build step to the network", "ip", result);
    }
    throw new OperatorError(
      "MACHINE_LACKS",
      "Cannot give a build step an address: 10.128.0.0/9 is routed on this machine",
      {
        hint: "free a part of 10.128.0.0/9 (`ip route` shows what is taken), or build with --network=none",
      },
    );
  }

  return {
    async join(pid, device) {
      const forwarding = (ready ??= setUp());
      const addresses = connect(pid, device);
      // Starts up beside the other, and reads when that is done.
      const addressed = run("nsenter", ["--target", String(pid), "--net", "ip", "-batch", "-"], {
        input: addresses.then(
          ({ host, step }) =>
            `addr add ${step}/32 dev eth0\nlink set eth0 up\nroute add ${host} dev eth0 scope link\nroute add default via ${host}\n`,
        ),
      });
      const [, inside] = await Promise.all([addresses, addressed, forwarding]);
      if (inside.code !== 0) throw failureOf("give a build step its address", "ip", inside);
    },
    use(device) {
      const counter = (file: string): number =>
        Number(readText(`/sys/class/net/${device}/statistics/${file}`)?.trim() ?? 0);
      // Named as this machine sees them, at the other end.
      return { sentPackets: counter("rx_packets"), receivedBytes: counter("tx_bytes") };
    },
    async close() {
      if (ready === undefined) return;
      await ready.catch(() => {});
      await removeStepFirewall(name);
    },
  };
}
