import { randomBytes } from "node:crypto";
import { Agent, request as httpRequest } from "node:http";

/**
 * The app that dies in these tests: it answers late, so that requests are in flight, and writes a line for each. It
 * wants `startMs` to be a constant before it.
 */
export const dyingApp = `import { createServer } from "node:http";
const names = { "x-instance": process.env.BRONZE_INSTANCE };
const server = createServer((request, response) => {
  const [, route, nonce] = request.url.split("/");
  // Nobody reads it any more: the app ends by EPIPE, as most do.
  console.log(\`\${request.method} \${request.url}\`);
  request.resume().on("end", () => {
    if (nonce !== undefined) console.log(\`upload \${nonce}\`);
    const begin = () => response.writeHead(200, { ...names, "content-type": "text/plain" });
    if (route !== "slow") return setTimeout(() => { begin(); response.end("done"); }, 15);
    begin();
    response.write("begun, ");
    setTimeout(() => response.end("done"), 300);
  });
});
setTimeout(() => server.listen(process.env.PORT), startMs);
process.on("SIGTERM", () => process.exit(0));
`;

/** What is asked; each a row of its own. "POST" and "GET with a body" carry a nonce that the app writes down. */
export const askedKinds = ["GET", "HEAD", "OPTIONS", "new connection", "slow", "POST", "GET with a body"] as const;
export type AskedKind = (typeof askedKinds)[number];

export interface DeathRow {
  readonly requests: number;
  /** Failed or answered with 5xx before the response had begun. */
  readonly unbegun: number;
  /** Broken off after its beginning. */
  readonly begun: number;
  readonly longestMs: number;
}

export interface DeathReport {
  readonly rows: Readonly<Record<AskedKind, DeathRow>>;
  /** Of requests that could have been sent elsewhere: those without a body, whose response had not begun. */
  readonly lost: number;
  readonly refused: number;
  /** All that failed, in words. */
  readonly failures: readonly string[];
  readonly requests: number;
  readonly longestMs: number;
  /** Nonces that were sent, and whether they were answered. */
  readonly nonces: ReadonlyMap<string, boolean>;
}

export interface DeathLoad {
  /** How many requests are open at the most. */
  readonly clients: number;
  /** What was counted since the last call; requests that are open count when they end. */
  window(): DeathReport;
  stop(): Promise<DeathReport>;
}

interface Counts {
  requests: number;
  unbegun: number;
  begun: number;
  longestMs: number;
}

const timeoutMs = 30_000;
const withoutBody: ReadonlySet<AskedKind> = new Set(["GET", "HEAD", "OPTIONS", "new connection", "slow"]);

/** Clients of every kind that ask without end and never ask anything twice. */
export function startDeathLoad(url: string, each = 3): DeathLoad {
  let going = true;
  let counts = emptyCounts();
  let failures: string[] = [];
  let nonces = new Map<string, boolean>();
  const loops: Promise<void>[] = [];

  async function client(kind: AskedKind): Promise<void> {
    const agent = kind === "new connection" ? false : new Agent({ keepAlive: true, maxSockets: 1 });
    while (going) {
      const nonce = withoutBody.has(kind) ? undefined : randomBytes(10).toString("hex");
      const startedAt = performance.now();
      const outcome = await ask(url, kind, nonce, agent);
      const row = counts[kind];
      row.requests += 1;
      row.longestMs = Math.max(row.longestMs, performance.now() - startedAt);
      if (nonce !== undefined) nonces.set(nonce, outcome === undefined);
      if (outcome === undefined) continue;
      row[outcome.begun ? "begun" : "unbegun"] += 1;
      failures.push(`${kind}: ${outcome.reason}${outcome.begun ? ", begun" : ""}`);
    }
    if (agent !== false) agent.destroy();
  }

  function window(): DeathReport {
    const report = {
      rows: counts,
      lost: [...withoutBody].reduce((sum, kind) => sum + counts[kind].unbegun, 0),
      refused: failures.filter((failure) => failure.includes("ECONNREFUSED")).length,
      failures,
      requests: askedKinds.reduce((sum, kind) => sum + counts[kind].requests, 0),
      longestMs: Math.max(...askedKinds.map((kind) => counts[kind].longestMs)),
      nonces,
    };
    counts = emptyCounts();
    failures = [];
    nonces = new Map();
    return report;
  }

  for (const kind of askedKinds) for (let n = 0; n < each; n += 1) loops.push(client(kind));
  return {
    clients: loops.length,
    window,
    async stop() {
      going = false;
      await Promise.all(loops);
      return window();
    },
  };
}

/** The counts in one line. */
export function describe({ rows, lost, longestMs, requests }: DeathReport): string {
  const failed = askedKinds
    .filter((kind) => rows[kind].unbegun + rows[kind].begun > 0)
    .map((kind) => `${kind} ${rows[kind].unbegun} before the response, ${rows[kind].begun} after its beginning`);
  return `${requests} requests, ${lost} lost, longest ${Math.round(longestMs)} ms; failed: ${failed.join("; ") || "none"}`;
}

function emptyCounts(): Record<AskedKind, Counts> {
  const row = (): Counts => ({ requests: 0, unbegun: 0, begun: 0, longestMs: 0 });
  return Object.fromEntries(askedKinds.map((kind) => [kind, row()])) as Record<AskedKind, Counts>;
}

function methodOf(kind: AskedKind): string {
  return kind === "HEAD" || kind === "OPTIONS" || kind === "POST" ? kind : "GET";
}

function ask(
  url: string,
  kind: AskedKind,
  nonce: string | undefined,
  agent: Agent | false,
): Promise<{ readonly reason: string; readonly begun: boolean } | undefined> {
  return new Promise((resolve) => {
    let begun = false;
    const path = kind === "slow" ? "slow" : nonce === undefined ? "" : `upload/${nonce}`;
    const fail = (error: NodeJS.ErrnoException): void => resolve({ reason: error.code ?? error.message, begun });
    const body = nonce === undefined ? "" : "x".repeat(2_000);
    const options = {
      method: methodOf(kind),
      agent,
      timeout: timeoutMs,
      // Without it Node would send a GET's body undeclared.
      headers: body === "" ? {} : { "content-length": body.length },
    };
    const request = httpRequest(new URL(path, url), options, (response) => {
      begun = true;
      const status = response.statusCode ?? 0;
      response.resume();
      response.once("error", fail);
      response.once("end", () => resolve(status === 200 ? undefined : { reason: `status ${status}`, begun: false }));
    });
    request.once("timeout", () => request.destroy(new Error("no answer in time")));
    request.once("error", fail);
    request.end(body);
  });
}
