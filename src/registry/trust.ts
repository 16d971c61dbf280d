import { readdirSync, readFileSync } from "node:fs";
import { Agent as PlainAgent } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { join } from "node:path";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { OperatorError } from "../errors/operator-error.ts";

/** Where Docker and Podman look for certificates by host. */
export const certificateFolders = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

export interface AgentOptions {
  readonly env: { readonly [name: string]: string | undefined };
  /** Folders with a folder for each host. */
  readonly certificates: readonly string[];
}

/** Connections, kept open between requests, by protocol and host; proxies as the environment says. */
export interface Agents {
  for(url: URL): PlainAgent;
}

export function createAgents({ env, certificates }: AgentOptions): Agents {
  const agents = new Map<string, PlainAgent>();
  const common = { keepAlive: true, maxSockets: 8, scheduling: "fifo" as const };
  return {
    for(url) {
      const isTls = url.protocol === "https:";
      const known = agents.get(`${isTls} ${url.host}`);
      if (known !== undefined) return known;
      // This machine's own registries are not behind its proxy.
      const proxy = isLoopback(url.hostname) ? {} : { proxyEnv: { ...env } };
      const agent = isTls
        ? new TlsAgent({ ...common, ...proxy, secureContext: contextFor(url, certificates) })
        : new PlainAgent({ ...common, ...proxy });
      agents.set(`${isTls} ${url.host}`, agent);
      return agent;
    },
  };
}

/** Whether a host is this machine itself; it decides whether plain HTTP may be tried. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.[0-9]{1,3}){3}$/.test(hostname);
}

/** What is trusted at a host: Node's roots with NODE_EXTRA_CA_CERTS, the system's, and the host's own; client certificates too. */
function contextFor(url: URL, folders: readonly string[]): SecureContext {
  const port = url.port === "" ? "443" : url.port;
  const names = new Set([url.host, `${url.hostname}:${port}`]);
  const own: string[] = [];
  const pairs: { cert: Buffer; key: Buffer }[] = [];
  for (const folder of folders.flatMap((each) => [...names].map((name) => join(each, name)))) {
    const files = list(folder);
    for (const file of files) {
      if (file.endsWith(".crt")) own.push(read(join(folder, file)).toString("utf8"));
      if (!file.endsWith(".cert")) continue;
      const key = `${file.slice(0, -".cert".length)}.key`;
      if (!files.includes(key)) throw unusable(join(folder, file), `there is no ${key} beside it`);
      pairs.push({ cert: read(join(folder, file)), key: read(join(folder, key)) });
    }
  }
  try {
    return createSecureContext({
      ca: [...new Set([...getCACertificates("default"), ...getCACertificates("system"), ...own])],
      ...(pairs.length === 0 ? {} : { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) }),
      minVersion: "TLSv1.2",
    });
  } catch (cause) {
    throw unusable(`the certificates for ${url.host}`, "TLS does not take them", cause);
  }
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    // Most hosts have none.
    return [];
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw unusable(path, "the machine does not let it be read", cause);
  }
}

function unusable(what: string, state: string, cause?: unknown): OperatorError {
  return new OperatorError("REGISTRY_FAILED", `Cannot use ${what}: ${state}`, {
    hint: "mend the files, or take them away",
    cause,
  });
}
