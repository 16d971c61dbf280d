import assert from "node:assert/strict";
import { test } from "node:test";
import { healthFacts } from "../build/dockerfile/health.ts";
import type { HealthFacts } from "../build/options.ts";
import { defaultRunSettings } from "../model/content.ts";
import type { DefinedRunSettings } from "../model/definition.ts";
import { settingNotes, settingsFor } from "./run-settings.ts";

const defined: DefinedRunSettings = {
  ...defaultRunSettings,
  port: null,
  health: { path: null, deadlineMs: null },
};
const wishes = { exposedPorts: [3000, 9000], health: null, volumes: [] };
const asks = (port: number | null, startMs: number | null = null): HealthFacts => ({
  kind: "http",
  path: "/up",
  port,
  startMs,
});

test("`settingsFor()` takes what the definition says, else what the image says, else the defaults", () => {
  const cases = [
    [defined, { ...wishes, exposedPorts: [] }, 8080, null, 30_000],
    [defined, wishes, 3000, null, 30_000],
    [defined, { ...wishes, health: asks(3000) }, 3000, "/up", 30_000],
    [defined, { ...wishes, health: asks(null, 90_000) }, 3000, "/up", 90_000],
    [{ ...defined, port: 80 }, { ...wishes, health: asks(3000, 90_000) }, 80, null, 30_000],
    [
      { ...defined, health: { path: "/mine", deadlineMs: 5000 } },
      { ...wishes, health: asks(3000, 90_000) },
      3000,
      "/mine",
      5000,
    ],
  ] as const;
  for (const [said, image, port, path, deadlineMs] of cases) {
    const settings = settingsFor(said, image);
    assert.deepEqual([settings.port, settings.health], [port, { path, deadlineMs }]);
  }
});

test("`settingNotes()` names what is not carried over, and nothing that is", () => {
  const command: HealthFacts = { kind: "command", command: "pg_isready" };
  assert.deepEqual(settingNotes(defined, { ...wishes, health: asks(3000) }), []);
  assert.match(
    settingNotes(defined, { ...wishes, health: command })[0] ?? "",
    /HEALTHCHECK pg_isready is not carried over/,
  );
  assert.match(
    settingNotes(defined, { ...wishes, health: asks(9000) })[0] ?? "",
    /asks port 9000, requests go to 3000/,
  );
  const mine = { ...defined, health: { path: "/", deadlineMs: null }, tmpfs: ["/var/cache"] };
  assert.deepEqual(
    settingNotes(mine, { ...wishes, health: command, volumes: ["/tmp/x", "/var/cache", "/var/cache/a"] }),
    [],
  );
  assert.match(settingNotes(mine, { ...wishes, volumes: ["/data"] })[0] ?? "", /VOLUME \/data is no writable place/);
});

const checks: readonly (readonly [
  check: readonly string[],
  facts: readonly [string, number | null] | string | null,
])[] = [
  [
    ["CMD-SHELL", "curl -f http://localhost:8080/healthz || exit 1"],
    ["/healthz", 8080],
  ],
  [
    ["CMD-SHELL", "curl --fail --silent 'http://127.0.0.1/' > /dev/null || exit 1"],
    ["/", 80],
  ],
  [
    ["CMD-SHELL", "wget -qO- http://0.0.0.0:${PORT:-3000}/up?full=1 2>/dev/null || false"],
    ["/up?full=1", null],
  ],
  [
    ["CMD", "/usr/bin/wget", "--spider", "http://[::1]:80"],
    ["/", 80],
  ],
  [
    ["CMD", "sh", "-c", "exec curl -f http://localhost:1/"],
    ["/", 1],
  ],
  [["CMD-SHELL", "curl -f http://db:8080/ || exit 1"], "curl -f http://db:8080/ || exit 1"],
  [
    ["CMD-SHELL", "curl -f http://localhost/a && curl -f http://localhost/b"],
    "curl -f http://localhost/a && curl -f http://localhost/b",
  ],
  [["CMD-SHELL", "curl -k https://localhost/"], "curl -k https://localhost/"],
  [["CMD", "node", "health.js"], "node health.js"],
  [["NONE"], null],
];

for (const [check, expected] of checks) {
  test(`\`healthFacts()\` reads ${JSON.stringify(check)}`, () => {
    const facts = healthFacts({ Test: check });
    if (expected === null) assert.equal(facts, null);
    else if (typeof expected === "string") assert.deepEqual(facts, { kind: "command", command: expected });
    else assert.deepEqual(facts, { kind: "http", path: expected[0], port: expected[1], startMs: null });
  });
}
