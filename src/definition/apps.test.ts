import assert from "node:assert/strict";
import test from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import type { Definition } from "../model/definition.ts";
import { parseDefinition, parseDefinitionFile } from "./parse.ts";

const body = (more = "") => `{ build: { dockerfile: Dockerfile }${more} }`;

function apps(text: string): readonly Definition[] {
  const file = parseDefinitionFile(text, "bronze.yaml");
  assert.equal(file.kind, "apps");
  return file.kind === "apps" ? file.definitions : [];
}

function problems(text: string): readonly string[] {
  try {
    parseDefinitionFile(text, "bronze.yaml");
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.cause instanceof Error, String(thrown));
    return thrown.cause.message.split("\n");
  }
  throw new Error("no problem was found");
}

const two = `
environments:
  staging: { instances: 1 }
  production: { from: staging, instances: 3, rollback: { watch: 10s } }
apps:
  shop:
    build: { dockerfile: Dockerfile }
    needs: [db]
    environments: { production: { instances: 4 } }
  db:
    build: { dockerfile: db/Dockerfile }
    route: none
    run: { port: 5432, health: { tcp: true } }
`;

test("parseDefinitionFile() reads several apps with the environments they share and what each says over them", () => {
  const [shop, db] = apps(two);
  assert.deepEqual([shop?.app, db?.app, db?.run.port], ["shop", "db", 5432]);
  assert.deepEqual(
    [shop, db].map((one) => one?.environments.map(({ name, from, settings }) => [name, from, settings.instances])),
    [
      [
        ["staging", null, 1],
        ["production", "staging", 4],
      ],
      [
        ["staging", null, 1],
        ["production", "staging", 3],
      ],
    ],
  );
  assert.deepEqual(
    [shop, db].map((one) => one?.environments[1]?.settings.watchMs),
    [10_000, 10_000],
  );
  assert.deepEqual(
    [shop, db].map((one) => one?.environments.map(({ settings }) => [settings.needs, settings.route])),
    [
      [
        [["db"], { host: null, path: "/" }],
        [["db"], { host: null, path: "/" }],
      ],
      [
        [undefined, null],
        [undefined, null],
      ],
    ],
  );
});

test("parseDefinitionFile() gives each app environments of its own where none are shared", () => {
  const [one, two_] = apps(`apps:
  one: ${body(", environments: { staging: {} }")}
  two: ${body(", route: none")}
`);
  assert.deepEqual(
    [one, two_].map((definition) => definition?.environments.map(({ name }) => name)),
    [["staging"], ["production"]],
  );
});

test("parseDefinitionFile() reads a list of definitions", () => {
  assert.deepEqual(parseDefinitionFile("apps: [./db, shop/bronze.yaml]\n", "bronze.yaml"), {
    kind: "list",
    paths: [
      { path: "./db", line: 1, column: 8 },
      { path: "shop/bronze.yaml", line: 1, column: 14 },
    ],
  });
});

test("parseDefinition() refuses several apps where one is meant", () => {
  assert.throws(() => parseDefinition(two, "bronze.yaml"), { code: "DEFINITION_INVALID" });
  assert.equal(parseDefinition(`apps: { shop: ${body()} }\n`, "bronze.yaml").app, "shop");
});

const wrong: readonly (readonly [what: string, text: string, says: RegExp])[] = [
  [
    "a need that is not there",
    `apps:\n  shop: ${body(", needs: [bd]")}\n  db: ${body(", route: none")}\n`,
    /^bronze\.yaml:2:\d+ apps\.shop\.needs\[0\]: there is no app "bd"; did you mean "db"\?$/,
  ],
  [
    "needs in a circle",
    `apps:\n  a: ${body(", needs: [b]")}\n  b: ${body(", route: none, needs: [c]")}\n  c: ${body(", route: none, needs: [a]")}\n`,
    /^bronze\.yaml:2:\d+ apps\.a\.needs\[0\]: leads back to where it began: a → b → c → a$/,
  ],
  [
    "an app that needs itself",
    `app: a\nbuild: { dockerfile: D }\nneeds: [a]\n`,
    /:3:9 needs\[0\]: an app does not wait/,
  ],
  ["a need twice", `app: a\nbuild: { dockerfile: D }\nneeds: [b, b]\n`, /needs\[1\]: "b" stands twice/],
  [
    "two apps with one route",
    `apps:\n  a: ${body()}\n  b: ${body()}\n`,
    /:3:3 apps\.b: route \*\/ in production is a's; give one/,
  ],
  ["both app and apps", `app: a\napps: { b: ${body()} }\n`, /:1:1 app: with apps: this belongs into each app/],
  ["a build beside apps", `build: { image: x }\napps: { b: ${body()} }\n`, /:1:1 build: with apps: this belongs into/],
  [
    "environments beside a list",
    `environments: {}\napps: [a]\n`,
    /belongs into one of the definitions that are listed/,
  ],
  [
    "an environment that is not shared",
    `environments: { production: {} }\napps: { a: ${body(", environments: { prodution: {} }")} }\n`,
    /apps\.a\.environments\.prodution: there is no such environment at the top level; did you mean "production"\?/,
  ],
  ["an app's name that is none", `apps: { A_b: ${body()} }\n`, /:1:9 apps\.A_b: an app's name is/],
  ["an app without a build", "apps: { a: {} }\n", /apps\.a: build: is missing/],
  ["no apps", "apps: {}\n", /apps: names no app/],
  ["an empty list", "apps: []\n", /apps: names no definition/],
  ["a path from the root", "apps: [/etc/passwd]\n", /apps\[0\]: must be a path relative to this file/],
  ["an unknown key of an app", `apps: { a: ${body(", prot: 1")} }\n`, /apps\.a\.prot: unknown key/],
];
for (const [what, text, says] of wrong) {
  test(`parseDefinitionFile() refuses ${what}, with its place`, () => {
    const lines = problems(text);
    assert.ok(
      lines.some((line) => says.test(line)),
      lines.join("\n"),
    );
  });
}

test("parseDefinitionFile() tells what is wrong with a shared environment once", () => {
  const text = `environments: { production: { instances: 0 } }\napps:\n  a: ${body()}\n  b: ${body(", route: none")}\n`;
  assert.equal(problems(text).length, 1);
});

test("parseDefinitionFile() reads an environment's limits, an app's own over the shared ones", () => {
  const [one, two_] = apps(`environments: { production: { limits: { memory: 1Gi, cpu: 2, pids: 100 } } }
apps:
  one: ${body()}
  two: ${body(", route: none, environments: { production: { limits: { memory: 256Mi } } }")}
`);
  assert.deepEqual(
    [one, two_].map((definition) => definition?.environments[0]?.settings.limits),
    [
      { memoryBytes: 2 ** 30, cpu: 2, pids: 100 },
      { memoryBytes: 2 ** 28, cpu: null, pids: null },
    ],
  );
});

test("parseDefinitionFile() refuses an instance that asks for more than all of its environment have", () => {
  const lines = problems(
    "app: a\nbuild: { image: x }\nrun: { resources: { memory: 512Mi } }\nenvironments: { live: { limits: { memory: 256Mi } } }\n",
  );
  assert.match(lines.join("\n"), /:3:6 run: asks for more than environments\.live\.limits leave: 512\.0 MiB of memory/);
});
