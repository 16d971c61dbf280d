import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sha256 } from "./canonical.ts";
import { contentDigest, defaultRunSettings, type Content } from "./content.ts";
import { diffAcross, diffContents, isSame } from "./difference.ts";

const one: Content = {
  artifact: sha256("one"),
  config: { LEVEL: "info", GONE: "" },
  secrets: { DB: 1, OLD: 1 },
  settings: {
    ...defaultRunSettings,
    command: ["a"],
    volumes: { data: { path: "/d", sharing: "shared", snapshot: false } },
  },
};
const two: Content = {
  artifact: sha256("two"),
  config: { LEVEL: "debug", NEW: "1" },
  secrets: { DB: 2, NEW: 1 },
  settings: {
    ...defaultRunSettings,
    command: ["a", "b"],
    resources: { memoryBytes: 1024, cpu: null, pids: 256 },
    processes: { worker: { command: ["w"], resources: defaultRunSettings.resources, drainMs: 1 } },
  },
};

test("`diffContents()` names what differs, sorted, with both values", () => {
  assert.deepEqual(diffContents(one, two), {
    artifact: { from: one.artifact, to: two.artifact },
    config: [
      { name: "GONE", from: "", to: null },
      { name: "LEVEL", from: "info", to: "debug" },
      { name: "NEW", from: null, to: "1" },
    ],
    secrets: [
      { name: "DB", from: 1, to: 2 },
      { name: "NEW", from: null, to: 1 },
      { name: "OLD", from: 1, to: null },
    ],
    settings: [
      { name: "command", from: '["a"]', to: '["a","b"]' },
      { name: "processes.worker.command", from: null, to: '["w"]' },
      { name: "processes.worker.drainMs", from: null, to: "1" },
      { name: "processes.worker.resources.pids", from: null, to: "256" },
      { name: "resources.memoryBytes", from: null, to: "1024" },
      { name: "volumes.data.path", from: "/d", to: null },
      { name: "volumes.data.sharing", from: "shared", to: null },
      { name: "volumes.data.snapshot", from: "false", to: null },
    ],
  });
});

test("`diffAcross()` leaves versions of secrets out, which mean nothing between environments", () => {
  assert.deepEqual(
    diffAcross(one, two).secrets.map(({ name }) => name),
    ["NEW", "OLD"],
  );
});

test("`diffContents()` finds nothing exactly where the contents are one", () => {
  const name = fc.constantFrom("A", "B", "C");
  const content = fc.record({
    artifact: fc.constantFrom(one.artifact, two.artifact),
    config: fc.dictionary(name, fc.constantFrom("", "x", "y"), { noNullPrototype: true }),
    secrets: fc.dictionary(name, fc.integer({ min: 1, max: 2 }), { noNullPrototype: true }),
    settings: fc.constantFrom(one.settings, two.settings, defaultRunSettings),
  });
  fc.assert(
    fc.property(content, content, (a, b) => {
      assert.equal(isSame(diffContents(a, b)), contentDigest(a) === contentDigest(b));
      const turned = diffContents(b, a).config.map(({ name: key, from, to }) => ({ name: key, from: to, to: from }));
      assert.deepEqual(turned, diffContents(a, b).config);
    }),
  );
});
