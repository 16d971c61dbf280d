import { join } from "node:path";
import { runCommand } from "../command.ts";

/** What is taken from this machine's apt: where it looks for packages, and how it gets there. */
export interface MachineApt {
  readonly sourceList: string;
  readonly sourceParts: string;
  /** Lines of apt.conf(5): proxies, certificates, passwords of mirrors, and how old a mirror may be. */
  readonly options: readonly string[];
}

const takenOver = /^Acquire::(https?|socks|Check-Valid-Until|Check-Date|ForceIPv4|ForceIPv6|Retries|Max-FutureTime)\b/;

/** Reads the configuration of this machine's apt. Where there is none, its defaults. */
export async function readMachineApt(signal: AbortSignal): Promise<MachineApt> {
  const { status, stdout } = await runCommand("apt-config", ["dump"], { signal, timeoutMs: 30_000 });
  const lines = status === 0 ? stdout.split("\n") : [];
  const values = new Map(
    lines.flatMap((line) => {
      const [, key, value] = /^(\S+) "(.*)";$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key.toLowerCase(), value] as const];
    }),
  );
  const place = (key: string, otherwise: string): string =>
    [values.get("dir") ?? "/", values.get("dir::etc") ?? "etc/apt", values.get(`dir::etc::${key}`) ?? otherwise].reduce(
      under,
    );
  return {
    sourceList: place("sourcelist", "sources.list"),
    sourceParts: place("sourceparts", "sources.list.d"),
    options: [
      ...lines.filter((line) => takenOver.test(line)),
      `Dir::Etc::netrc "${place("netrc", "auth.conf")}";`,
      `Dir::Etc::netrcparts "${place("netrcparts", "auth.conf.d")}";`,
    ],
  };
}

function under(folder: string, path: string): string {
  return path.startsWith("/") ? path : join(folder, path);
}
