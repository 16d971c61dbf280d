import { isIPv4 } from "node:net";
import type { AppAddresses } from "../model/observation.ts";
import { readText } from "./files.ts";

const upstreamOfStub = "/run/systemd/resolve/resolv.conf";
const isLoopback = (server: string): boolean => (isIPv4(server) ? server.startsWith("127.") : server === "::1");

/**
 * The host's resolvers as an instance can use them. A resolver on the host's loopback is out of an instance's reach:
 * systemd-resolved's own list takes its place, and any other is left out.
 *
 * @param text the host's /etc/resolv.conf
 * @param upstream systemd-resolved's list of real resolvers, where there is one
 */
export function instanceResolvers(text: string, upstream: string | undefined): string {
  const servers = serversOf(text);
  const source = servers.length > 0 && servers.every(isLoopback) && upstream !== undefined ? upstream : text;
  const lines = source.split("\n").filter((line) => {
    const server = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    return !/^\s*[#;]/.test(line) && line.trim() !== "" && (server === undefined || !isLoopback(server));
  });
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function serversOf(text: string): readonly string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
}

export function hostResolvers(): string {
  return instanceResolvers(readText("/etc/resolv.conf") ?? "", readText(upstreamOfStub));
}

/** Longest IPv4 address: lines have one length, whatever the address, so that another one changes few bytes. */
const addressWidth = 15;

/** @param apps names that stand for addresses of others. @see hosts(5) */
export function hostsFile(name: string, address: string, apps: readonly AppAddresses[] = []): string {
  const others = apps.flatMap(({ app, addresses }) =>
    addresses.map((other) => `${other.padEnd(addressWidth)}\t${app}\n`),
  );
  return `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${address}\t${name}\n${others.join("")}`;
}
