import { volumesSuite } from "../../ports/volumes.suite.ts";
import { createVirtualClock } from "./clock.ts";
import { createMemoryVolumes } from "./volumes.ts";

volumesSuite("volumes in memory", async () => {
  const store = createMemoryVolumes(createVirtualClock());
  return {
    store,
    write: async (id, path, text) => void store.files(id)?.set(path, text),
    read: async (id, path, snapshot) => store.files(id, snapshot)?.get(path),
    reopen: () => store,
    end: async () => {},
  };
});
