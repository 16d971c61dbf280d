import { KeptConnection } from "./exchange.ts";

/** What the prober is to do; every connection asks again `everyMs` after its last question, once that is answered. */
export interface ProbeConfig {
  readonly host: string;
  readonly port: number;
  readonly hostHeader: string;
  readonly path: string;
  readonly connections: number;
  readonly everyMs: number;
  /** Texts of which one stands in every right answer, in its head or body: they tell contents apart. */
  readonly contents: readonly string[];
}

/** When the restored content took over, as clients saw it. Times are ms of the machine's monotonic clock. */
export interface Takeover {
  /** First answer of the content after which no other answered; null: none yet. */
  readonly atMs: number | null;
  /** Probes answered since, and how many of them wrongly (neither content, other status, reset). */
  readonly probes: number;
  readonly failed: number;
  readonly probesPerSecond: number;
}

export interface RunningProbe {
  takeover(content: number, sinceMs: number): Takeover;
  stop(): Promise<void>;
}

/** ms of CLOCK_MONOTONIC: the same in every process of a machine. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const kept = 1 << 18;

/** Probes until stopped; remembers the last 262,144 answers. */
export function runProbe(config: ProbeConfig): RunningProbe {
  const times = new Float64Array(kept);
  const seen = new Int8Array(kept);
  let count = 0;
  let stopping = false;
  const marks = config.contents.map((text) => Buffer.from(text));
  const request = Buffer.from(`GET ${config.path} HTTP/1.1\r\nhost: ${config.hostHeader}\r\n\r\n`);
  const work = async (number: number) => {
    const connection = new KeptConnection(config.host, config.port);
    await pause((config.everyMs * number) / config.connections);
    while (!stopping) {
      const askedAt = machineMs();
      const outcome = await connection.ask(request, { timeoutMs: 5000 });
      const answeredAt = machineMs();
      const right = typeof outcome !== "string" && outcome.status === 200;
      const content = right
        ? marks.findIndex((mark) => outcome.head.includes(mark.toString("latin1")) || outcome.body.includes(mark))
        : -1;
      times[count % kept] = answeredAt;
      seen[count % kept] = content;
      count += 1;
      await pause(config.everyMs - (answeredAt - askedAt));
    }
    connection.close();
  };
  const loops = Array.from({ length: config.connections }, (_, number) => work(number));
  return {
    takeover: (content, sinceMs) => {
      let atMs: number | null = null;
      let probes = 0;
      let failed = 0;
      let firstMs = Number.NaN;
      let lastMs = Number.NaN;
      for (let i = Math.max(0, count - kept); i < count; i += 1) {
        const time = times[i % kept] ?? 0;
        if (time < sinceMs) continue;
        probes += 1;
        if (probes === 1) firstMs = time;
        lastMs = time;
        const which = seen[i % kept];
        if (which === -1) failed += 1;
        if (which !== content) atMs = null;
        else atMs ??= time;
      }
      return {
        atMs,
        probes,
        failed,
        probesPerSecond: probes < 2 ? 0 : ((probes - 1) * 1000) / Math.max(1, lastMs - firstMs),
      };
    },
    stop: async () => {
      stopping = true;
      await Promise.all(loops);
    },
  };
}

function pause(ms: number): Promise<void> {
  return ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
