import { OperatorError } from "../errors/operator-error.ts";
import { sha256, type Digest } from "../model/canonical.ts";
import { parseReferrer } from "../image/referrer.ts";
import type { Referrer, Store } from "../ports/store.ts";
import { blobMissing, bytesLie, checkTagName, tooLarge } from "./refusals.ts";

/** A store that lives as long as the process; for the simulator and tests. It has no files: `path` always refuses. */
export function createMemoryStore(): Store {
  const blobs = new Map<Digest, Buffer>();
  const names = new Map<string, Digest>();
  const builds = new Map<Digest, readonly Digest[]>();
  const referring = new Map<Digest, Map<Digest, Referrer>>();
  const need = (digest: Digest): Buffer => {
    const bytes = blobs.get(digest);
    if (bytes === undefined) throw blobMissing(digest);
    return bytes;
  };
  const store: Store = {
    stat: async (digest) => blobs.get(digest)?.byteLength,
    async read(digest, maxBytes = 4 * 2 ** 20) {
      const bytes = need(digest);
      if (bytes.byteLength > maxBytes) throw tooLarge(digest, bytes.byteLength, maxBytes);
      return Buffer.from(bytes);
    },
    async path(digest) {
      need(digest);
      throw new OperatorError("NOT_FOUND", `Cannot give a file for ${digest}: this store keeps its blobs in memory`, {
        hint: "use read()",
      });
    },
    async write(source, expected) {
      const pieces: Buffer[] = [];
      let size = 0;
      if (source instanceof Uint8Array) pieces.push(Buffer.from(source));
      else {
        for await (const piece of source) {
          size += piece.byteLength;
          if (expected?.size !== undefined && size > expected.size) break;
          pieces.push(Buffer.from(piece));
        }
      }
      const bytes = Buffer.concat(pieces);
      const digest = sha256(bytes);
      if (
        expected !== undefined &&
        (expected.digest !== digest || (expected.size !== undefined && expected.size !== bytes.byteLength))
      ) {
        throw bytesLie(expected.digest, digest, expected.size, bytes.byteLength);
      }
      blobs.set(digest, bytes);
      return { digest, size: bytes.byteLength };
    },
    async tag(name, digest) {
      checkTagName(name);
      need(digest);
      names.set(name, digest);
    },
    async resolve(name) {
      checkTagName(name);
      return names.get(name);
    },
    async attach(manifest) {
      const { subject, descriptor } = parseReferrer(manifest);
      await store.write(manifest);
      const known = referring.get(subject) ?? new Map<Digest, Referrer>();
      referring.set(subject, known.set(descriptor.digest, descriptor));
      return descriptor;
    },
    referrers: async (subject, artifactType) =>
      [...(referring.get(subject)?.values() ?? [])]
        .filter((one) => artifactType === undefined || one.artifactType === artifactType)
        .sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    async recordBuild(artifact, from) {
      builds.set(artifact, [...new Set([...(builds.get(artifact) ?? []), ...from])].sort());
    },
    async buildOf(artifact) {
      const from = builds.get(artifact);
      return from === undefined ? undefined : { artifact, from };
    },
    builds: async () => [...builds].map(([artifact, from]) => ({ artifact, from })),
    tags: async () => [...names].map(([name, digest]) => ({ name, digest })).sort((a, b) => (a.name < b.name ? -1 : 1)),
    async stage() {
      const staged = createMemoryStore();
      const waiting = new Set<Digest>();
      const of = (digest: Digest): Store => (waiting.has(digest) ? staged : store);
      return {
        stat: (digest) => of(digest).stat(digest),
        read: (digest, maxBytes) => of(digest).read(digest, maxBytes),
        path: (digest) => of(digest).path(digest),
        async write(source, expected) {
          const written = await staged.write(source, expected);
          waiting.add(written.digest);
          return written;
        },
        sync: () => undefined,
        async publish(digests, about = []) {
          for (const digest of digests) blobs.set(digest, await of(digest).read(digest, Number.POSITIVE_INFINITY));
          waiting.clear();
          for (const manifest of about) await store.attach(manifest);
        },
        discard: async () => waiting.clear(),
      };
    },
  };
  return store;
}
