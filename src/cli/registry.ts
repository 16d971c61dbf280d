import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Registry } from "../ports/registry.ts";
import { createBuildProgress, type BuildProgress } from "./build-progress.ts";
import type { Context } from "./context.ts";

/** Options of commands that may ask a registry. */
export interface RegistryOptions {
  readonly plainHttp?: boolean;
}

export function withRegistry(command: Command): Command {
  return command.option("--plain-http", "ask registries without TLS (those of this machine may be in any case)");
}

/** Registries with this user's credentials; the client is loaded when one is asked. */
export function openRegistry({ places }: Pick<Context, "places">, options: RegistryOptions): Registry {
  let opened: Promise<Registry> | undefined;
  const open = (): Promise<Registry> =>
    (opened ??= import("../registry/registry.ts").then(({ createRegistry }) =>
      createRegistry({
        folder: join(places.state, "cache", "downloads"),
        env: process.env,
        home: homedir(),
        plainHttp: options.plainHttp === true,
      }),
    ));
  return {
    resolve: async (reference, signal) => (await open()).resolve(reference, signal),
    pull: async (reference, digest, blobs, given) => (await open()).pull(reference, digest, blobs, given),
    pullReferrers: async (reference, subject, store, given) =>
      (await open()).pullReferrers(reference, subject, store, given),
    push: async (digest, reference, blobs, given) => (await open()).push(digest, reference, blobs, given),
  };
}

/** Shows a transfer on the terminal while it lasts. */
export async function showTransfer<Result>(
  { places }: Pick<Context, "places">,
  transfer: (report: BuildProgress["report"]) => Promise<Result>,
): Promise<Result> {
  const progress = createBuildProgress({
    screen: process.stderr,
    env: process.env,
    style: "auto",
    logFolder: join(places.state, "cache", "logs"),
  });
  try {
    return await transfer(progress.report);
  } finally {
    progress.end();
  }
}
