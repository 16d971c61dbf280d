import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeyring } from "../drivers/keys/keyring.ts";
import { mediaTypes } from "../image/media-types.ts";
import { sha256, type Digest } from "../model/canonical.ts";
import { evidenceSuite } from "../ports/evidence.suite.ts";
import { attestationsOf } from "./attestations.ts";
import { createEvidence } from "./evidence.ts";
import { createLocalStore } from "./local.ts";

evidenceSuite("createEvidence()", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-evidence-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const store = createLocalStore(join(folder, "store"));
  const signer = createKeyring(join(folder, "keys"), {
    signal: new AbortController().signal,
    now: Date.now,
    onFirstKey: () => {},
  });
  const image = async (name: string): Promise<Digest> =>
    (
      await store.write(
        Buffer.from(
          JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, layers: [], annotations: { name } }),
        ),
      )
    ).digest;
  return {
    keeper: createEvidence(store, signer),
    artifacts: [await image("one"), await image("other")],
    lacking: sha256("nothing"),
    count: async (artifact) => (await attestationsOf(store, artifact).catch(() => [])).length,
  };
});
