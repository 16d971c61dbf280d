import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import type { ErrorCode } from "../errors/codes.ts";
import { parseReference, type ImageReference } from "../image/reference.ts";
import type { PullOptions, Registry } from "../ports/registry.ts";
import { createRegistry } from "./registry.ts";
import { startRegistry, type TestRegistry } from "./server.suite.ts";

const endings: (() => void)[] = [];
afterEach(() => endings.splice(0).forEach((end) => end()));

export function newFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "bronze-registry-"));
  endings.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function newServer(): Promise<TestRegistry> {
  const server = await startRegistry();
  endings.push(() => server.close());
  return server;
}

/** A client that waits hardly at all between its tries. */
export function newClient(
  change: {
    readonly folder?: string;
    readonly env?: Record<string, string>;
    readonly home?: string;
    readonly patienceMs?: number;
  } = {},
): Registry {
  return createRegistry({
    folder: newFolder(),
    env: { XDG_RUNTIME_DIR: "/nonexistent" },
    home: "/nonexistent",
    firstWaitMs: 1,
    certificates: [],
    ...change,
  });
}

export const { signal } = new AbortController();
export const pullOptions: PullOptions = { signal, checkImage: () => undefined, checkLayer: async () => undefined };

export function referenceTo(server: TestRegistry, name: string): ImageReference {
  return parseReference(`${server.host}/${name}`);
}

export function withCode(code: ErrorCode, says = /^/): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof OperatorError && error.code === code && says.test(`${error.message}\n${String(error.cause)}`))
      return true;
    throw error;
  };
}
