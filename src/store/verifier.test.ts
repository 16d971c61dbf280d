import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeyring } from "../drivers/keys/keyring.ts";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseManifest } from "../image/oci.ts";
import { sha256 } from "../model/canonical.ts";
import { verifierSuite } from "../ports/verifier.suite.ts";
import { createMemoryStore } from "./memory.ts";
import { createVerifier } from "./verifier.ts";

verifierSuite("createVerifier()", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-verifier-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const store = createMemoryStore();
  const keyring = createKeyring(join(folder, "keys"), { signal: new AbortController().signal, now: Date.now });
  let hasKey = false;
  return {
    verifier: createVerifier({ store, keys: () => keyring.trust(), now: Date.now }),
    async made(name, ...from) {
      const config = serialiseConfig({
        architecture: "amd64",
        os: "linux",
        config: {},
        diffIds: [sha256(name)],
        history: [],
      });
      await store.write(config);
      const manifest = serialiseManifest({
        config: describe(mediaTypes.config, config),
        layers: [describe(mediaTypes.layer, Buffer.from(name))],
        annotations: {},
      });
      const { digest } = await store.write(manifest);
      await store.recordBuild(digest, from);
      return digest;
    },
    async changeKeys() {
      if (hasKey) await keyring.rotate({ validMs: null, stands: async () => [] });
      else await keyring.create({ validMs: null });
      hasKey = true;
    },
    lacking: sha256("nothing"),
  };
});
