/**
 * What the load clients expect of the app under load (`examples/demo-app`): every answer names the source's version in
 * `x-version` and the instance in `x-instance`, and the last 64 bytes of every body are the sha256 of those before, so
 * a short, mixed or foreign body never passes for a right one.
 */
export const paths = {
  /** A small page at once. */
  page: "/",
  /** A chunked page whose pieces come over 400 ms. */
  slow: "/slow",
  /** `POST /upload/NONCE`: the app hashes the body, writes `upload NONCE` to its output, then answers. */
  upload: "/upload/",
  /** `/stream/MS`: pieces for MS milliseconds. */
  stream: "/stream/",
  /** A websocket that sends every text frame back. */
  echo: "/echo",
} as const;

/** Bytes of hex digits at the end of every body. */
export const sealBytes = 64;

/** What the app writes to its output each time it has executed an upload. */
export const executionPattern = /\bupload ([0-9a-f]{8,40})\b/g;

export const kinds = ["keep-alive", "new connection", "slow response", "upload", "stream", "websocket"] as const;
/** A sort of client; each is a row of its own in every report. */
export type Kind = (typeof kinds)[number];

export interface LoadConfig {
  readonly host: string;
  readonly port: number;
  /** Value of the Host header. */
  readonly hostHeader: string;
  /** How many clients of each kind ask at the same time; absent: none. */
  readonly clients: Readonly<Partial<Record<Kind, number>>>;
  /** Pause of a client between two requests, in ms. */
  readonly pauseMs: Readonly<Partial<Record<Kind, number>>>;
  /** How long one stream and one websocket last, in ms. */
  readonly lastingMs: number;
  readonly uploadBytes: number;
  /** Longest time for an answer, and between two pieces of a lasting one, in ms. */
  readonly timeoutMs: number;
}

export const defaultLoad = { lastingMs: 5000, uploadBytes: 200_000, timeoutMs: 5000, pauseMs: {} } as const;

export interface KindReport {
  readonly kind: Kind;
  readonly requests: number;
  readonly failed: number;
  /** Failures by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Latency of the answered ones, in ms. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
}

export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  readonly kinds: readonly KindReport[];
  /** Answered requests by `x-version`. */
  readonly versions: Readonly<Record<string, number>>;
  /** Requests open at the same time, sampled every 5 ms, and at each mark. */
  readonly inFlight: { readonly min: number; readonly max: number; readonly atMarks: readonly number[] };
  /** Nonces of the uploads that were answered as executed. */
  readonly uploaded: readonly string[];
  /** Nonces of the uploads that failed: they may have been executed once, never twice. */
  readonly uploadFailures: readonly string[];
  /** The first failures, for a person. */
  readonly examples: readonly string[];
  /** From the window's opening to the last answer, in ms. */
  readonly elapsedMs: number;
}
