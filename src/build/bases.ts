import { OperatorError } from "../errors/operator-error.ts";
import { parseIndex } from "../image/oci.ts";
import {
  fullName,
  parseReference,
  platformName,
  readReference,
  storeName,
  type ImageReference,
} from "../image/reference.ts";
import { isDigest, type Digest, type Json } from "../model/canonical.ts";
import type { Registry } from "../ports/registry.ts";
import type { Store } from "../ports/store.ts";
import { isIndex, platformInStore, takeImage, wasPulled } from "./exchange/take.ts";
import { changeLock, readLock, type BasePin, type LockFile } from "./lock-file.ts";
import type { BuildEvent } from "./options.ts";
import type { PinChange, Pinning, PinOptions } from "./pins.ts";
import { createTransferStep } from "./transfer-step.ts";

export interface BasesOptions {
  /** Where bronze.lock is. */
  readonly projectDir: string;
  readonly store: Store;
  readonly registry: Registry;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
}

/** The images that builds begin with or copy from. */
export interface Bases {
  /**
   * The manifest that a name means for a platform, with all of its image in the store afterwards. A digest means
   * itself; a pinned name its pin; any other the store's tag, else what the registry has now, which is then pinned.
   *
   * @param name as in FROM: a name, a name with a digest, or a digest of the store
   * @param platform `linux/amd64`
   * @throws {OperatorError} `NOT_FOUND`, `ARGUMENT_INVALID`, `REGISTRY_FAILED`, `VERIFICATION_FAILED`, `DEFINITION_INVALID` for a bad lock
   */
  resolve(name: string, platform: string): Promise<Digest>;
  /** Pins what is not pinned yet, without fetching it. Names for which that fails are left to `resolve`. */
  pin(images: readonly { readonly name: string; readonly platform: string }[]): Promise<void>;
  /** The manifests of all images that were resolved so far, whatever they were named by, and the indexes that named them. */
  digests(): Promise<readonly Digest[]>;
  /** The pins that were used so far, for the digest of the lock; undefined: none. */
  used(): Json | undefined;
}

export function createBases(options: BasesOptions): Bases {
  const { store, registry, projectDir, report, signal } = options;
  const used = new Map<string, { [platform: string]: Digest }>();
  const indexes = new Set<Digest>();
  const running = new Map<string, Promise<Digest>>();
  const pins = new Map<string, Promise<Digest>>();

  const take = async (reference: ImageReference, digest: Digest, platform: string): Promise<Digest> => {
    const name = fullName(reference);
    const step = createTransferStep(report, `base ${name}`, `fetch ${name}`);
    const { progress } = step;
    await step.run(() => takeImage(reference, digest, { store, registry, platform, signal, progress }));
    return digest;
  };

  /** What bronze.lock says of a name, which it does afterwards. */
  const pin = async (reference: ImageReference, platform: string): Promise<Digest> => {
    const full = fullName(reference);
    const pinOf = (lock: LockFile): Digest | undefined => lock.bases[full]?.platforms[platform];
    const known = pinOf(await readLock(projectDir));
    if (known !== undefined) return known;
    const found = await lookUp(reference, platform, "store first", options);
    // Another build may have pinned it meanwhile: the first one counts.
    const lock = await changeLock(projectDir, signal, (now) => withPin(now, full, found, "keep"));
    const digest = pinOf(lock) ?? platformOf(found.platforms, platform, full);
    report({ kind: "note", text: `pinned ${full} ${digest} in bronze.lock` });
    return digest;
  };
  const pinned = (reference: ImageReference, platform: string): Promise<Digest> => {
    const key = `${platform} ${fullName(reference)}`;
    const known = pins.get(key) ?? pin(reference, platform);
    pins.set(key, known);
    return known;
  };

  const find = async (name: string, platform: string): Promise<Digest> => {
    if (isDigest(name)) {
      const here = await inStore(store, name, platform);
      if (here !== name) indexes.add(name);
      if (here !== undefined) return here;
      throw new OperatorError("NOT_FOUND", `Cannot find the image ${name} for ${platform}: the store lacks it`, {
        hint: "write its name before it, NAME@sha256:…, so that it can be fetched; or bring it with `bronze import`",
      });
    }
    const reference = parseReference(name);
    if (reference.digest !== null) {
      const here = await inStore(store, reference.digest, platform);
      if (here !== reference.digest) indexes.add(reference.digest);
      if (here !== undefined) return here;
      const { index, platforms } = await registry.resolve(reference, signal);
      if (index !== null) await store.write(index.bytes, { digest: index.digest });
      return take(reference, platformOf(platforms, platform, name), platform);
    }
    const full = fullName(reference);
    const digest = await pinned(reference, platform);
    const index = (await readLock(projectDir)).bases[full]?.index ?? null;
    if (index !== null) indexes.add(index);
    used.set(full, { ...used.get(full), [platform]: digest });
    return take(reference, digest, platform);
  };

  return {
    resolve(name, platform) {
      const key = `${platform} ${name}`;
      const known = running.get(key) ?? find(name, platform);
      running.set(key, known);
      return known;
    },
    async pin(images) {
      const pinning = images.map(async ({ name, platform }) => {
        const reference = readReference(name);
        if (typeof reference !== "string" && reference.digest === null) await pinned(reference, platform);
      });
      // What fails is told by `resolve`, whose caller knows where in the file it stands.
      await Promise.allSettled(pinning);
    },
    digests: async () => [...(await Promise.all(running.values())), ...indexes],
    used: () => (used.size === 0 ? undefined : Object.fromEntries(used)),
  };
}

/**
 * What a name means now.
 *
 * @param order `store first`: the store's tag, else the registry's. `newest`: the store's tag only where it did not come
 * from a registry
 * @throws {OperatorError} `NOT_FOUND`, `REGISTRY_FAILED`
 */
export async function lookUp(
  reference: ImageReference,
  platform: string,
  order: "store first" | "newest",
  { store, registry, signal }: Pick<BasesOptions, "store" | "registry" | "signal">,
): Promise<BasePin> {
  const tag = storeName(reference);
  const tagged = tag === null ? undefined : await store.resolve(tag);
  if (tagged !== undefined && (order === "store first" || !(await wasPulled(store, reference, tagged)))) {
    const here = await inStore(store, tagged, platform);
    if (here !== undefined) return { index: null, platforms: { [platform]: here } };
  }
  const { index, platforms } = await registry.resolve(reference, signal);
  platformOf(platforms, platform, fullName(reference));
  return { index: index?.digest ?? null, platforms };
}

/**
 * Finds what bases are to be pinned to; names with a digest need no pin.
 *
 * @throws {OperatorError} `NOT_FOUND` for a name in `only` that is not among them, `REGISTRY_FAILED`
 */
export async function pinBases(
  bases: readonly { readonly name: string; readonly platform: string }[],
  options: PinOptions,
): Promise<Pinning> {
  const lock = await readLock(options.projectDir);
  const named = new Map(
    bases.flatMap(({ name, platform }) => {
      const reference = isDigest(name) ? undefined : parseReference(name);
      if (reference === undefined || reference.digest !== null) return [];
      return [[`${fullName(reference)} ${platform}`, { reference, platform }] as const];
    }),
  );
  const asked = new Set(options.only.map((name) => fullName(parseReference(name))));
  const known = new Set([...named.values()].map(({ reference }) => fullName(reference)));
  const stranger = [...asked].find((name) => !known.has(name));
  if (stranger !== undefined)
    throw new OperatorError("NOT_FOUND", `Cannot pin ${stranger}: this definition does not begin with it`, {
      hint: `it begins with ${[...known].sort().join(", ") || "no image that has a name without a digest"}`,
    });
  const changes: PinChange[] = [];
  let apply: Pinning["apply"] = (now) => now;
  for (const { reference, platform } of named.values()) {
    const name = fullName(reference);
    const old = lock.bases[name];
    if (asked.size > 0 && !asked.has(name)) continue;
    if (!options.update && old?.platforms[platform] !== undefined) continue;
    const pin = await lookUp(reference, platform, options.update ? "newest" : "store first", options);
    const before = apply;
    apply = (now) => withPin(before(now), name, pin, options.update ? "move" : "keep");
    // An index is compared with an index: where one of both has none, the images themselves are.
    const both = typeof old?.index === "string" && pin.index !== null;
    const was = both ? old.index : (old?.platforms[platform] ?? null);
    const is = both || was === null ? (pin.index ?? pin.platforms[platform]) : pin.platforms[platform];
    if (was !== is) changes.push({ kind: "base", name, from: was, to: is ?? null });
  }
  return { changes, apply };
}

/** A lock with one more pin. `keep`: platforms that are pinned stay as they are; `move`: they take the new digest. */
export function withPin(lock: LockFile, name: string, pin: BasePin, what: "keep" | "move"): LockFile {
  const old = lock.bases[name];
  const merged =
    old === undefined
      ? pin
      : what === "keep"
        ? { index: old.index, platforms: { ...pin.platforms, ...old.platforms } }
        : { index: pin.index, platforms: pin.index === null ? { ...old.platforms, ...pin.platforms } : pin.platforms };
  return { ...lock, bases: { ...lock.bases, [name]: merged } };
}

/** The image of a platform by its own digest or that of an index, where the store has all of it. */
async function inStore(store: Store, digest: Digest, platform: string): Promise<Digest | undefined> {
  if ((await store.stat(digest)) === undefined) return undefined;
  const bytes = await store.read(digest);
  if (!isIndex(bytes)) return (await platformInStore(store, digest)) === platform ? digest : undefined;
  const entry = parseIndex(bytes).find(
    ({ platform: of }) => of !== undefined && platformName(of.os, of.architecture, of.variant) === platform,
  );
  if (entry === undefined) return undefined;
  return (await platformInStore(store, entry.digest)) === platform ? entry.digest : undefined;
}

/** @throws {OperatorError} `NOT_FOUND` */
function platformOf(platforms: BasePin["platforms"], platform: string, name: string): Digest {
  const digest = platforms[platform];
  if (digest !== undefined) return digest;
  throw new OperatorError("NOT_FOUND", `Cannot use the image ${name}: there is none of it for ${platform}`, {
    hint: `it is there for ${Object.keys(platforms).sort().join(", ") || "no platform at all"}`,
  });
}

/** For builds that look into the store only. */
export const noRegistry: Registry = { resolve: refuse, pull: refuse, pullReferrers: refuse, push: refuse };

async function refuse(first: ImageReference | Digest, second: unknown): Promise<never> {
  const reference = typeof first === "string" ? (second as ImageReference) : first;
  throw new OperatorError("NOT_FOUND", `Cannot find the image ${fullName(reference)}: the store lacks it`, {
    hint: "bring it with `bronze import`",
  });
}
