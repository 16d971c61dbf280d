import { join } from "node:path";
import type { Places } from "../../model/places.ts";

/** Where the router keeps what it has: `state` survives a reboot, `run` does not. */
export interface RouterLayout {
  readonly state: string;
  readonly run: string;
  /** Slots, ports and sizes: what the configuration is rendered from. */
  readonly record: string;
  readonly config: string;
  /** Routes: host and path → sets and their shares. */
  readonly routes: string;
  /** The Lua program that lets requests wait. */
  readonly hold: string;
  readonly control: string;
  readonly admin: string;
  readonly master: string;
  readonly emptyFolder: string;
  readonly log: string;
}

export function layoutOf(places: Places): RouterLayout {
  const state = join(places.state, "router");
  const run = join(places.run, "router");
  return {
    state,
    run,
    record: join(state, "record.json"),
    config: join(state, "haproxy.cfg"),
    routes: join(state, "routes.map"),
    hold: join(state, "hold.lua"),
    control: join(run, "control.sock"),
    admin: join(run, "admin.sock"),
    master: join(run, "master.sock"),
    emptyFolder: join(run, "empty"),
    log: join(places.log, "router.log"),
  };
}
