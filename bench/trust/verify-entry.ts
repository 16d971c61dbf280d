/**
 * Verifies one artifact of a store as the daemon does before a release, and prints what it took since Node was ready, in ms:
 * our own code is loaded meanwhile. Arguments: state folder, digest. Bundled by the bench, as the product is.
 */
import { join } from "node:path";
import { createKeyFolder } from "../../src/drivers/keys/folder.ts";
import { parseDigest } from "../../src/model/names.ts";
import { createLocalStore } from "../../src/store/local.ts";
import { createVerifier } from "../../src/store/verifier.ts";

const [state = "", digest = ""] = process.argv.slice(2);
const keys = createKeyFolder(join(state, "keys"));
const store = createLocalStore(join(state, "store"));
const verifier = createVerifier({ store, keys: keys.readTrust, now: Date.now });
const { reasons } = await verifier.verify(parseDigest(digest));
const end = process.hrtime.bigint();
// What tells when Node was ready is loaded when it is asked, which is no part of verifying.
const msSinceStart = performance.now();
const askedMs = Number(process.hrtime.bigint() - end) / 1e6;
const ms = msSinceStart - askedMs - performance.nodeTiming.bootstrapComplete;
console.log(JSON.stringify({ ms, reasons }));
