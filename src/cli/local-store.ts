import { join } from "node:path";
import { version } from "../daemon/version.ts";
import type { Store } from "../ports/store.ts";
import { createLocalStore } from "../store/local.ts";
import type { Context } from "./context.ts";

export function openStore({ places }: Pick<Context, "places">): Store {
  return createLocalStore(join(places.state, "store"));
}

export function cacheFolder({ places }: Pick<Context, "places">): string {
  return join(places.state, "cache");
}

/** The name of an app's newest artifact in the store. */
export function newestTag(app: string): string {
  return `${app}:latest`;
}

/** What builds here, versions by name. */
export const tools = { bronze: version, node: process.versions.node };
