import { OperatorError } from "../../errors/operator-error.ts";
import { sha256, type Digest } from "../../model/canonical.ts";
import type { ArtifactOrigin } from "../../model/content.ts";
import type { Descent, Verifier } from "../../ports/verifier.ts";

/** A verifier of artifacts that need not exist; all are verified but those it was told of. */
export interface MemoryVerifier extends Verifier {
  /** From now on this is what an artifact's evidence comes to. */
  say(artifact: Digest, origin: ArtifactOrigin, ...reasons: readonly string[]): void;
  /** Remembers that an artifact was made from others. */
  made(artifact: Digest, ...from: readonly Digest[]): void;
  /** Something happened to a key. */
  changeKeys(): void;
  /** How often evidence was judged. */
  verified(): number;
}

/** @param options.lacks artifacts that are not there; all others are */
export function createMemoryVerifier(options: { readonly lacks?: ReadonlySet<Digest> } = {}): MemoryVerifier {
  const said = new Map<Digest, { readonly origin: ArtifactOrigin; readonly reasons: readonly string[] }>();
  const parents = new Map<Digest, readonly Digest[]>();
  let keys = 1;
  let verified = 0;
  let log: Digest | null = null;
  const keyLog = async (): Promise<Digest> => (log ??= sha256(`keys ${keys}`));
  /** One way to each image that an artifact was made from, itself first, then the nearest. */
  const waysFrom = (artifact: Digest): readonly Descent[] => {
    const ways = new Map<Digest, readonly Digest[]>([[artifact, [artifact]]]);
    for (const [image, chain] of ways)
      for (const parent of parents.get(image) ?? []) if (!ways.has(parent)) ways.set(parent, [...chain, parent]);
    return [...ways].map(([from, chain]) => ({ artifact, from, chain }));
  };
  return {
    keyLog,
    async verify(artifact) {
      if (options.lacks?.has(artifact) === true)
        throw new OperatorError("NOT_FOUND", `Cannot verify ${artifact}: not in the store`, {
          hint: "build or import it",
        });
      verified += 1;
      return { keyLog: await keyLog(), ...(said.get(artifact) ?? { origin: "built", reasons: [] }) };
    },
    descents: async (artifact, from) => waysFrom(artifact).filter((way) => from.includes(way.from)),
    descendants: async (image) =>
      [...parents.keys()]
        .filter((artifact) => artifact !== image)
        .flatMap((artifact) => waysFrom(artifact).filter(({ from }) => from === image))
        .sort((a, b) => a.chain.length - b.chain.length || (a.artifact < b.artifact ? -1 : 1)),
    say: (artifact, origin, ...reasons) => void said.set(artifact, { origin, reasons }),
    made: (artifact, ...from) => void parents.set(artifact, from),
    changeKeys() {
      keys += 1;
      log = null;
    },
    verified: () => verified,
  };
}
