import { isDeepStrictEqual } from "node:util";
import type { BuildCache } from "../build/cache.ts";
import type { DefinitionFile } from "../model/definition.ts";
import { sha256, type Json } from "../model/canonical.ts";

/** Put in by `scripts/bundle.ts`: names what is bundled by its content. From source there is none. */
declare const bronzeBundle: string | undefined;

/**
 * What a definition file says, as the last command of this very bundle understood it; else it is read, for which a library
 * as large as all of the builder is loaded. A file with problems is read each time.
 */
export async function rememberedDefinition(
  cache: BuildCache,
  { bytes, file }: { readonly bytes: Uint8Array; readonly file: string },
  read: () => Promise<DefinitionFile>,
): Promise<DefinitionFile> {
  if (typeof bronzeBundle !== "string") return read();
  const key = { bundle: bronzeBundle, file, bytes: sha256(bytes) };
  const known = await cache.read("definitions", key);
  if (known !== undefined) return known as DefinitionFile;
  const definition = await read();
  const kept: unknown = JSON.parse(JSON.stringify(definition));
  if (isDeepStrictEqual(kept, definition)) await cache.write("definitions", key, kept as Json);
  return definition;
}
