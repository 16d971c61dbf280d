import { join } from "node:path";
import { createKeyFolder } from "../../src/drivers/keys/folder.ts";
import { parseDigest } from "../../src/model/names.ts";
import { createLocalStore } from "../../src/store/local.ts";
import { createVerifier } from "../../src/store/verifier.ts";

/** Judges an artifact as the daemon does, in a process that does nothing else. */
const [state = "", artifact = ""] = process.argv.slice(2);
const verifier = createVerifier({
  store: createLocalStore(join(state, "store")),
  keys: createKeyFolder(join(state, "keys")).readTrust,
  now: () => Date.now(),
});
const { origin, reasons } = await verifier.verify(parseDigest(artifact));
process.stdout.write(JSON.stringify({ origin, reasons }));
