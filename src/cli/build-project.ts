import { join } from "node:path";
import { buildArtifact } from "../build/build.ts";
import type { BuiltArtifact } from "../build/options.ts";
import { givingWay } from "../build/priority.ts";
import { formatDuration } from "../model/quantities.ts";
import type { Store } from "../ports/store.ts";
import { createLocalStore } from "../store/local.ts";
import type { Context } from "./context.ts";
import type { Project } from "./project.ts";

export function openStore(context: Context): Store {
  return createLocalStore(join(context.places.state, "store"));
}

/** The name of an app's newest artifact in the store. */
export function newestTag(app: string): string {
  return `${app}:latest`;
}

/** Builds the project's artifact into the store, saying what it does. */
export async function buildProject(
  context: Context,
  { definition, folder }: Project,
  options: { readonly refresh: boolean },
): Promise<BuiltArtifact> {
  const { output, places, signal } = context;
  const startedAt = performance.now();
  const artifact = await givingWay(() =>
    buildArtifact(definition.build, {
      projectDir: folder,
      store: openStore(context),
      cacheDir: join(places.state, "cache"),
      report: (event) => {
        if (event.kind === "note") output.note(output.paint.dim(`  ${event.text}`));
      },
      signal,
      tagAs: newestTag(definition.app),
      refresh: options.refresh,
    }),
  );
  for (const warning of artifact.warnings) output.note(`${output.paint.warn("warning:")} ${warning}`);
  output.note(
    `${artifact.cached ? "unchanged" : "built"} ${artifact.digest} in ${formatDuration(performance.now() - startedAt)}`,
  );
  return artifact;
}
