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
  readonly verified: number;
}

export function createMemoryVerifier(): MemoryVerifier {
  const said = new Map<Digest, { readonly origin: ArtifactOrigin; readonly reasons: readonly string[] }>();
  const parents = new Map<Digest, readonly Digest[]>();
  let keys = 1;
  let verified = 0;
  const keyLog = async (): Promise<Digest> => sha256(`keys ${keys}`);
  const waysFrom = (artifact: Digest, before: readonly Digest[] = []): readonly Descent[] => {
    const chain = [...before, artifact];
    const own: Descent = { artifact: chain[0] ?? artifact, from: artifact, chain };
    return [own, ...(parents.get(artifact) ?? []).flatMap((parent) => waysFrom(parent, chain))];
  };
  return {
    keyLog,
    async verify(artifact) {
      verified += 1;
      return { keyLog: await keyLog(), ...(said.get(artifact) ?? { origin: "built", reasons: [] }) };
    },
    descents: async (artifact, from) => waysFrom(artifact).filter((way) => from.includes(way.from)),
    descendants: async (image) =>
      [...parents.keys()].flatMap((artifact) => waysFrom(artifact).filter(({ from }) => from === image)),
    say: (artifact, origin, ...reasons) => void said.set(artifact, { origin, reasons }),
    made: (artifact, ...from) => void parents.set(artifact, from),
    changeKeys: () => void (keys += 1),
    get verified() {
      return verified;
    },
  };
}
