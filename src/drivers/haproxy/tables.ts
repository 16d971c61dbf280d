/** One server as `show servers state` tells it. */
export interface ServerState {
  readonly backend: string;
  readonly server: string;
  readonly address: string;
  readonly port: number;
  /** Takes new requests as far as its administrative state goes; whether it is up is another matter. */
  readonly ready: boolean;
}

/** Bits of srv_admin_state that keep new requests away: forced, inherited and resolver maintenance, forced and inherited drain. */
const keptAway = 0x01 | 0x02 | 0x08 | 0x10 | 0x20;

/**
 * Reads the answer to `show servers state`.
 *
 * @throws {RangeError} when it is not such an answer
 */
export function parseServersState(text: string): ServerState[] {
  const lines = text.split("\n");
  const header = lines[1]?.replace(/^# /, "").trim().split(" ") ?? [];
  const column = (name: string): number => {
    const index = header.indexOf(name);
    if (index < 0) throw new RangeError(`servers state without ${name}: ${text.slice(0, 200)}`);
    return index;
  };
  const [backend, server, address, port, admin] = [
    "be_name",
    "srv_name",
    "srv_addr",
    "srv_port",
    "srv_admin_state",
  ].map(column) as [number, number, number, number, number];
  return lines.slice(2).flatMap((line) => {
    const fields = line.split(" ");
    if (fields.length < header.length) return [];
    const state = {
      backend: fields[backend] ?? "",
      server: fields[server] ?? "",
      address: fields[address] ?? "",
      port: Number(fields[port]),
      ready: (Number(fields[admin]) & keptAway) === 0,
    };
    return [state];
  });
}

/** Sessions of one server as `show stat` tells them. */
export interface ServerSessions {
  readonly backend: string;
  readonly server: string;
  /** `10.0.0.1:8080` */
  readonly address: string;
  readonly current: number;
}

/**
 * Reads the answer to `show stat`; an empty or unknown one is an error, never "no sessions".
 *
 * @throws {RangeError} when it is not such an answer or a number is missing
 */
export function parseSessions(text: string): ServerSessions[] {
  const lines = text.split("\n");
  const header = lines[0]?.replace(/^# /, "").split(",") ?? [];
  const [backend, server, current, address] = ["pxname", "svname", "scur", "addr"].map((name) =>
    header.indexOf(name),
  ) as [number, number, number, number];
  if (Math.min(backend, server, current, address) < 0) throw new RangeError(`no statistics: ${text.slice(0, 200)}`);
  return lines.slice(1).flatMap((line) => {
    if (line.trim() === "") return [];
    const fields = line.split(",");
    const count = fields[current];
    if (count === undefined || !/^[0-9]+$/.test(count))
      throw new RangeError(`statistics without sessions: ${line.slice(0, 200)}`);
    return [
      {
        backend: fields[backend] ?? "",
        server: fields[server] ?? "",
        address: fields[address] ?? "",
        current: Number(count),
      },
    ];
  });
}

/** Reads the answer to `show map FILE`: an address, the key, the value a line. */
export function parseShownMap(text: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^0x[0-9a-f]+ (\S+) (\S+)$/.exec(line.trim());
    if (match?.[1] !== undefined && match[2] !== undefined) entries.set(match[1], match[2]);
  }
  return entries;
}

/** Process ids of workers that a reload replaced and that still finish something, from the master's `show proc`. */
export function parseOldWorkers(text: string): number[] {
  const old = text.split("# old workers")[1] ?? "";
  const [workers = ""] = old.split("# programs");
  return [...workers.matchAll(/^([0-9]+)\s+worker/gm)].map((match) => Number(match[1]));
}

/** One stream as `show sess` tells it. */
export interface Stream {
  readonly id: string;
  readonly backend: string;
  readonly server: string;
}

/** Reads the answer to `show sess`; lines without a server are left out. */
export function parseStreams(text: string): Stream[] {
  return [...text.matchAll(/^(0x[0-9a-f]+): .*? be=(\S+) srv=(\S+) /gm)].flatMap(([, id, backend, server]) =>
    id === undefined || backend === undefined || server === undefined ? [] : [{ id, backend, server }],
  );
}
