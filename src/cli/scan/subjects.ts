import type { ReleaseRow } from "../../model/api/releases.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { newestTag } from "../local-store.ts";
import { isUnreachable } from "../api-client.ts";
import type { Context } from "../context.ts";

/** An artifact that is asked about, and where it is live. */
export interface Subject {
  readonly artifact: Digest;
  /** `shop production v3`; empty: nowhere. */
  readonly liveAs: readonly string[];
}

/** All artifacts that are live; null: no daemon tells. */
export async function liveSubjects(context: Context, app?: string): Promise<readonly Subject[] | null> {
  const rows = await context.client
    .get<readonly ReleaseRow[]>("/v1/releases", {}, context.signal)
    .catch((error: unknown) => {
      context.signal.throwIfAborted();
      if (isUnreachable(error)) return null;
      throw error;
    });
  if (rows === null) return null;
  const found = new Map<Digest, string[]>();
  for (const row of rows) {
    if (!row.live || (app !== undefined && row.app !== app)) continue;
    found.set(row.artifact, [...(found.get(row.artifact) ?? []), `${row.app} ${row.environment} v${row.release}`]);
  }
  return [...found].map(([artifact, liveAs]) => ({ artifact, liveAs }));
}

/**
 * What a person means: an artifact by digest or name, or an app, whose live artifacts are meant, or its newest where none is live; without
 * a word the apps of this folder.
 *
 * @throws {OperatorError} `NOT_FOUND`
 */
export async function findSubjects(
  context: Context,
  store: Store,
  text: string | undefined,
  file?: string,
): Promise<readonly Subject[]> {
  if (text === undefined) {
    const { loadProjects } = await import("../project.ts");
    const projects = await loadProjects(file === undefined ? {} : { file });
    const found: Subject[] = [];
    for (const { definition } of projects) found.push(...(await ofApp(context, store, definition.app)));
    return found;
  }
  if (/^[a-z0-9-]+$/.test(text) && (await store.resolve(newestTag(text)).catch(() => undefined)) !== undefined)
    return ofApp(context, store, text);
  const live = text.includes(":") ? [] : await liveSubjects(context, text);
  if (live !== null && live.length > 0) return live;
  return [await ofStore(context, store, text)];
}

async function ofApp(context: Context, store: Store, app: string): Promise<readonly Subject[]> {
  const live = (await liveSubjects(context, app)) ?? [];
  if (live.length > 0) return live;
  return [await ofStore(context, store, newestTag(app))];
}

async function ofStore(context: Context, store: Store, name: string): Promise<Subject> {
  const { findImage } = await import("../store-image.ts");
  return { artifact: await findImage(context, store, name, "scan"), liveAs: [] };
}
