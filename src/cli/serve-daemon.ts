import { runDaemon, type DaemonOptions } from "../daemon/main.ts";
import { checkFolder } from "./context.ts";
import { checkHost, parsePort } from "./daemon-start.ts";
import { chosenHttp, rememberHttp } from "./remembered-http.ts";
import { placesAt } from "./state-dir.ts";

export interface ServeOptions {
  readonly state?: string | undefined;
  readonly httpHost?: string | undefined;
  readonly httpPort?: string | undefined;
}

/**
 * Runs the daemon; where its router listens is remembered in the state folder, once it does, so that a later start need
 * not say it.
 */
export async function serveDaemon(
  { state, httpHost, httpPort }: ServeOptions,
  wiring: Pick<DaemonOptions, "throughJournal"> = {},
): Promise<void> {
  if (httpHost !== undefined) checkHost(httpHost);
  const places = placesAt(state);
  checkFolder(places);
  const http = chosenHttp(places, {
    ...(httpHost === undefined ? {} : { host: httpHost }),
    ...(httpPort === undefined ? {} : { port: parsePort(httpPort) }),
  });
  await runDaemon({ stateDir: places.state, http, onReady: () => void rememberHttp(places, http), ...wiring });
}
