import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runDaemon, type DaemonOptions } from "../daemon/main.ts";
import { placesOf } from "../model/places.ts";
import { checkFolder } from "./context.ts";
import { checkHost, parsePort } from "./daemon-start.ts";
import { writeDurably } from "./durable.ts";

export interface ServeOptions {
  readonly state?: string | undefined;
  readonly httpHost?: string | undefined;
  readonly httpPort?: string | undefined;
}

/** Runs the daemon; where its router listens is remembered in the state folder, so that a later start need not say it. */
export async function serveDaemon(
  { state, httpHost, httpPort }: ServeOptions,
  wiring: Pick<DaemonOptions, "throughJournal"> = {},
): Promise<void> {
  if (httpHost !== undefined) checkHost(httpHost);
  const places = placesOf(state);
  checkFolder(places);
  const file = join(places.state, "http.json");
  const remembered = readRemembered(file);
  const http = {
    host: httpHost ?? remembered?.host ?? "0.0.0.0",
    port: httpPort === undefined ? (remembered?.port ?? 80) : parsePort(httpPort),
  };
  if (http.host !== remembered?.host || http.port !== remembered.port) {
    mkdirSync(places.state, { recursive: true, mode: 0o711 });
    writeDurably(file, `${JSON.stringify(http)}\n`);
  }
  await runDaemon({ stateDir: places.state, http, ...wiring });
}

function readRemembered(file: string): { readonly host: string; readonly port: number } | undefined {
  try {
    const { host, port } = JSON.parse(readFileSync(file, "utf8")) as {
      readonly host?: unknown;
      readonly port?: unknown;
    };
    return typeof host === "string" && typeof port === "number" ? { host, port } : undefined;
  } catch {
    return undefined;
  }
}
