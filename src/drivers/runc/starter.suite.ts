/** A daemon of its own for the test that kills it: starts four instances and says when it begins. */
import { join } from "node:path";
import type { Digest } from "../../model/canonical.ts";
import { placesOf } from "../../model/places.ts";
import { suiteSet, web } from "../../ports/runtime.suite.ts";
import { createLocalStore } from "../../store/local.ts";
import { createMemorySecrets } from "../memory/secrets.ts";
import { createSystemClock } from "../system/clock.ts";
import { createVolumeStore } from "../volumes/volumes.ts";
import { createRuncRuntime } from "./runtime.ts";

const { state, artifact } = JSON.parse(process.argv[2] ?? "") as { readonly state: string; readonly artifact: Digest };
const runtime = await createRuncRuntime({
  places: placesOf(state),
  store: createLocalStore(join(state, "store")),
  clock: createSystemClock(Date.now()),
  layerImages: new Map(),
  networks: new Map(),
  sharedSubnet: null,
  record: () => {},
  secrets: createMemorySecrets().open(),
  volumes: createVolumeStore({ folder: join(state, "volumes"), wall: () => Date.now() }),
});
await runtime.prepare(artifact, new AbortController().signal);
process.stdout.write("starting\n");
await runtime.ensure(suiteSet(artifact), web(4, 1), new AbortController().signal);
