import { isMark } from "../build/exchange/take.ts";
import { OperatorError } from "../errors/operator-error.ts";
import { parseReference, storeName } from "../image/reference.ts";
import type { ReleaseRow } from "../model/api/releases.ts";
import { isDigest, type Digest } from "../model/canonical.ts";
import { parseDigest } from "../model/names.ts";
import { nearestName } from "../model/nearest.ts";
import type { Store } from "../ports/store.ts";
import { newestTag } from "./local-store.ts";
import type { Context, TargetOptions } from "./context.ts";
import { loadProject } from "./project.ts";

/**
 * An image of the store by its name, as Docker reads names, by its digest or the first characters of it.
 *
 * @param action what cannot be done without it, to follow "Cannot"
 * @throws {OperatorError} `NOT_FOUND` with the nearest name, `ARGUMENT_INVALID`, `USAGE` for characters that fit several
 */
export async function findImage(context: Context, store: Store, text: string, action: string): Promise<Digest> {
  const found = text.startsWith("sha256:") ? await wholeDigest(context, store, text, action) : await named(store, text);
  if (found !== undefined && (await store.stat(found)) !== undefined) return found;
  const names = (await store.tags()).map(({ name }) => name).filter((name) => !isMark(name));
  const near = nearestName(text, names);
  throw new OperatorError("NOT_FOUND", `Cannot ${action} "${text}": the store has no such artifact`, {
    hint: `${near === undefined ? "" : `did you mean ${near}? `}\`bronze build\` makes this folder's, \`bronze pull NAME\` and \`bronze import PATH\` bring others`,
  });
}

/**
 * The artifact that a command is about: an app's newest, an image by its name or digest, or the newest of this folder's app.
 *
 * @throws {OperatorError} as `findImage` and `loadProject`
 */
export async function findArtifact(
  context: Context,
  store: Store,
  text: string | undefined,
  options: Pick<TargetOptions, "file" | "app">,
  action: string,
): Promise<Digest> {
  const name = text ?? newestTag((await loadProject(options)).definition.app);
  return findImage(context, store, name, action);
}

async function named(store: Store, text: string): Promise<Digest | undefined> {
  const reference = parseReference(text);
  if (reference.digest !== null) return reference.digest;
  const name = storeName(reference);
  return name === null ? undefined : store.resolve(name);
}

/** A digest in full, or by its first characters where only one release or named image begins with them. */
async function wholeDigest(context: Context, store: Store, text: string, action: string): Promise<Digest> {
  if (isDigest(text) || !/^sha256:[0-9a-f]{6,63}$/.test(text)) return parseDigest(text);
  const rows = await context.client.get<readonly ReleaseRow[]>("/v1/releases", {}, context.signal).catch(() => []);
  context.signal.throwIfAborted();
  const known = [...(await store.tags()).map(({ digest }) => digest), ...rows.map(({ artifact }) => artifact)];
  const [only, second] = new Set(known.filter((digest) => digest.startsWith(text)));
  if (only !== undefined && second === undefined) return only;
  const state = only === undefined ? "no release or named image begins with it" : "several artifacts begin with it";
  throw new OperatorError(only === undefined ? "NOT_FOUND" : "USAGE", `Cannot ${action} "${text}": ${state}`, {
    hint: "give the whole digest, as `bronze build`, `bronze import` and `bronze releases --json` print it",
  });
}
