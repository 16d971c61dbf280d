import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseRow } from "../model/api/releases.ts";
import { sha256 } from "../model/canonical.ts";
import { diffContents } from "../model/difference.ts";
import { defaultRunSettings, type Content } from "../model/content.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import { renderDifference } from "./difference.ts";
import { plainPaint } from "./paint.ts";
import { renderReleases } from "./releases.ts";

const row: ReleaseRow = {
  app: parseAppName("shop"),
  environment: parseEnvironmentName("production"),
  release: 7,
  of: null,
  type: "deploy",
  automatic: false,
  state: "proven",
  live: true,
  digest: sha256("content"),
  artifact: sha256("artifact"),
  who: "ada",
  why: "",
  commit: null,
  request: null,
  createdAtMs: 0,
  endedAtMs: 1,
  elapsedMs: 1,
  warm: false,
  failure: null,
  promoted: null,
  changes: null,
};

test("`renderReleases()` says in a few words what each changed, and where it was promoted from", () => {
  const changes = {
    against: 6,
    artifact: true,
    config: ["A", "B", "C", "D", "E"],
    secrets: [
      { name: "DB", from: 1, to: 2 },
      { name: "KEY", from: null, to: 1 },
    ],
    settings: ["resources.memoryBytes"],
  };
  const nothing = { against: 6, artifact: false, config: [], secrets: [], settings: [] };
  const promoted = { environment: parseEnvironmentName("staging"), release: 3 };
  const texts = renderReleases([{ ...row, changes }, { ...row, changes: nothing, promoted }, row], plainPaint);
  assert.match(
    texts[1] ?? "",
    / artifact, config A B C \+2, secret DB v1→v2 KEY -→v1, setting resources\.memory +ada$/,
  );
  assert.match(texts[2] ?? "", / promotion of staging v3 .* nothing +ada$/);
  assert.match(texts[3] ?? "", / deploy .* - +ada$/);
});

test("`renderDifference()` writes values as a definition does, and long ones short", () => {
  const from: Content = {
    artifact: sha256("a"),
    config: { LONG: "x".repeat(100) },
    secrets: { DB: 1 },
    settings: defaultRunSettings,
  };
  const settings = {
    ...defaultRunSettings,
    drainMs: 90_000,
    resources: { ...defaultRunSettings.resources, memoryBytes: 2 ** 20 },
  };
  const lines = renderDifference(diffContents(from, { ...from, config: { EMPTY: "" }, secrets: { DB: 2 }, settings }));
  assert.deepEqual(
    lines.map((line) => line.replaceAll(/ +/g, " ")),
    [
      'config EMPTY (absent) → ""',
      `config LONG ${"x".repeat(60)}… → (absent)`,
      "secret DB v1 → v2",
      "setting drain 30 s → 1.5 min",
      "setting resources.memory (absent) → 1.0 MiB",
    ],
  );
  assert.deepEqual(renderDifference(diffContents(from, from)), ["nothing differs"]);
});
