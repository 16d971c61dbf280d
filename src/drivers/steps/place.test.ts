import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createPlaces } from "./place.ts";

test("`createPlaces()` gives steps that begin at the same moment folders, control groups and interfaces of their own", async () => {
  const dir = mkdtempSync(join(tmpdir(), "bronze-places-"));
  try {
    const places = createPlaces(dir);
    const steps = await Promise.all(Array.from({ length: 20 }, () => places.step()));
    for (const name of ["folder", "cgroup", "interfaceName"] as const)
      assert.equal(new Set(steps.map((step) => step[name])).size, steps.length, name);
    await places.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
