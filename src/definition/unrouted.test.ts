import assert from "node:assert/strict";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { parseDefinition } from "./parse.ts";

const smallest = "app: db\nbuild: { dockerfile: Dockerfile }\n";

test("parseDefinition() takes `route: none` for the app, and a route of one environment over it", () => {
  const { environments } = parseDefinition(
    `${smallest}route: none\nenvironments: { staging: {}, production: { route: { host: db.example } } }\n`,
    "bronze.yaml",
  );
  assert.deepEqual(
    environments.map(({ settings }) => settings.route),
    [null, { host: "db.example", path: "/" }],
  );
});

test("parseDefinition() takes `run.health.tcp` without a path, and refuses both", () => {
  const { health } = parseDefinition(`${smallest}run: { health: { tcp: true, deadline: 5s } }\n`, "bronze.yaml").run;
  assert.deepEqual(health, { path: null, tcp: true, deadlineMs: 5_000 });
  assert.deepEqual(parseDefinition(`${smallest}run: { health: { tcp: false } }\n`, "bronze.yaml").run.health, {
    path: null,
    deadlineMs: null,
  });
  assert.throws(
    () => parseDefinition(`${smallest}run: { health: { tcp: true, path: /up } }\n`, "bronze.yaml"),
    (thrown) =>
      thrown instanceof OperatorError && /run\.health\.tcp: is for what does not speak HTTP/.test(String(thrown.cause)),
  );
});
