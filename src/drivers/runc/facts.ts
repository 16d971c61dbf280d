import { open } from "node:fs/promises";
import type { InstanceName } from "../../model/names.ts";
import type { InstanceFacts } from "../../model/observation.ts";
import { readText } from "../../linux/files.ts";
import { joinPartial, parseLogLine } from "./log-lines.ts";
import { isAlive } from "../../linux/processes.ts";
import { instancePaths, readBirth, readExit, type Folders } from "./record.ts";

const mostLines = 50;
const mostCharacters = 2000;
const tailBytes = 256 * 1024;

/** What is known of an instance in trouble; also when it has just exited. */
export async function factsOf(folders: Folders, name: InstanceName): Promise<InstanceFacts> {
  const paths = instancePaths(folders, name);
  const birth = readBirth(paths);
  const listening = birth !== undefined && isAlive(birth.process) ? listeningSockets(birth.process.pid) : [];
  return { exit: readExit(paths) ?? null, listening, logTail: await logTail(paths.log) };
}

function listeningSockets(pid: number): InstanceFacts["listening"] {
  const sockets = ["tcp", "tcp6"].flatMap((table) => parseListening(readText(`/proc/${pid}/net/${table}`) ?? ""));
  return sockets.sort((a, b) => a.port - b.port || a.address.localeCompare(b.address));
}

const listenState = "0A";

/** Listening sockets of one table. @see proc_pid_net(5), /proc/net/tcp: addresses are words in the machine's byte order */
export function parseListening(table: string): { readonly address: string; readonly port: number }[] {
  return table
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      const [, hex, port] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local) ?? [];
      if (state !== listenState || hex === undefined || port === undefined) return [];
      const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
      return [
        {
          address: bytes.length === 4 ? bytes.map((byte) => Number.parseInt(byte, 16)).join(".") : formatIpv6(bytes),
          port: Number.parseInt(port, 16),
        },
      ];
    });
}

function formatIpv6(bytes: readonly string[]): string {
  const groups = Array.from({ length: 8 }, (_, index) => `${bytes[index * 2] ?? "00"}${bytes[index * 2 + 1] ?? "00"}`);
  const host = new URL(`http://[${groups.join(":")}]/`).hostname;
  return host.slice(1, -1);
}

async function logTail(path: string): Promise<readonly string[]> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return [];
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - tailBytes);
    const bytes = Buffer.alloc(size - start);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    const lines = bytes
      .toString("utf8", 0, bytesRead)
      .split("\n")
      .slice(start === 0 ? 0 : 1);
    const joiner = joinPartial();
    const whole = [...lines.flatMap((line) => joiner.push(parseLogLine(line))), ...joiner.rest()];
    return whole.slice(-mostLines).map(({ text }) => text.slice(0, mostCharacters));
  } finally {
    await file.close();
  }
}
