import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Places } from "../model/places.ts";
import { writeDurably } from "./durable.ts";

/** Where the router listens. */
export interface Http {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** What the last start of the daemon said; undefined: it never started. */
export function readHttp({ state }: Places): Http | undefined {
  try {
    const { host, port } = JSON.parse(readFileSync(fileIn(state), "utf8")) as {
      readonly host?: unknown;
      readonly port?: unknown;
    };
    return typeof host === "string" && typeof port === "number" ? { host, port } : undefined;
  } catch {
    return undefined;
  }
}

/** Where it is to listen. @param asked what stays as it was is left out; at first 0.0.0.0 and 80 */
export function chosenHttp(places: Places, asked: Partial<Http>): Http {
  const before = readHttp(places);
  return { host: asked.host ?? before?.host ?? "0.0.0.0", port: asked.port ?? before?.port ?? 80 };
}

/** Remembers it for later starts. @param asked as for {@link chosenHttp} */
export function rememberHttp(places: Places, asked: Partial<Http>): { readonly http: Http; readonly changed: boolean } {
  const before = readHttp(places);
  const http = chosenHttp(places, asked);
  const changed = http.host !== before?.host || http.port !== before.port;
  if (changed) {
    mkdirSync(places.state, { recursive: true, mode: 0o711 });
    writeDurably(fileIn(places.state), `${JSON.stringify(http)}\n`);
  }
  return { http, changed };
}

function fileIn(state: string): string {
  return join(state, "http.json");
}
