import { canonicalJson, type Digest, type Json } from "./canonical.ts";
import type { Content } from "./content.ts";

/** Something by name that differs; null: it is not there. */
export interface Change<Value> {
  readonly name: string;
  readonly from: Value | null;
  readonly to: Value | null;
}

/** In what two contents differ. Every list is sorted by name; empty ones differ in nothing. */
export interface ContentDifference {
  readonly artifact: { readonly from: Digest; readonly to: Digest } | null;
  readonly config: readonly Change<string>[];
  /** Versions. */
  readonly secrets: readonly Change<number>[];
  /** Run settings by their path, `resources.memoryBytes`; values are texts, or canonical JSON of anything else. */
  readonly settings: readonly Change<string>[];
}

/** What has to change about one content to make it the other. */
export function diffContents(from: Content, to: Content): ContentDifference {
  return {
    artifact: from.artifact === to.artifact ? null : { from: from.artifact, to: to.artifact },
    config: changes(from.config, to.config),
    secrets: changes(from.secrets, to.secrets),
    settings: changes(leaves(from.settings as unknown as Tree), leaves(to.settings as unknown as Tree)),
  };
}

/** The same between environments, where versions of secrets mean nothing: only their names count. */
export function diffAcross(from: Content, to: Content): ContentDifference {
  const difference = diffContents(from, to);
  return { ...difference, secrets: difference.secrets.filter((change) => change.from === null || change.to === null) };
}

/** Whether nothing differs. */
export function isSame({ artifact, config, secrets, settings }: ContentDifference): boolean {
  return artifact === null && config.length + secrets.length + settings.length === 0;
}

interface Tree {
  readonly [name: string]: Json | undefined;
}

function changes<Value extends string | number>(
  from: { readonly [name: string]: Value },
  to: { readonly [name: string]: Value },
): readonly Change<Value>[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return names
    .map((name) => ({ name, from: from[name] ?? null, to: to[name] ?? null }))
    .filter((change) => change.from !== change.to);
}

/** Every value that is no mapping, by its path; what is null is not there. */
function leaves(tree: Tree, above = ""): { readonly [path: string]: string } {
  return Object.fromEntries(
    Object.entries(tree).flatMap(([name, value]) => {
      const path = `${above}${name}`;
      if (value === undefined || value === null) return [];
      if (typeof value === "object" && !Array.isArray(value)) return Object.entries(leaves(value as Tree, `${path}.`));
      return [[path, typeof value === "string" ? value : canonicalJson(value)] as const];
    }),
  );
}
