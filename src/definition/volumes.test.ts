import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { parseDefinition, parseDefinitionFile } from "./parse.ts";

const text = (run: string, rest = ""): string => `app: shop\nbuild: { dockerfile: Dockerfile }\nrun: ${run}\n${rest}`;

function problemsOf(definition: string): readonly string[] {
  try {
    parseDefinition(definition, "bronze.yaml");
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.cause instanceof Error, String(thrown));
    assert.equal(thrown.code, "DEFINITION_INVALID");
    return thrown.cause.message.split("\n");
  }
  throw new Error("no problem was found");
}

test("parseDefinition() reads volumes: exclusive and without snapshots unless said", () => {
  const { run } = parseDefinition(
    text(
      `{ tmpfs: [/var/cache], volumes: { data: /var/lib/shop/, up-loads: { path: /uploads, shared: true, snapshot: true }, pics: { path: /pics, shared: true, app: thumbs } } }`,
    ),
    "bronze.yaml",
  );
  assert.deepEqual(run.volumes, {
    data: { path: "/var/lib/shop", sharing: "exclusive", snapshot: false },
    "up-loads": { path: "/uploads", sharing: "shared", snapshot: true },
    pics: { path: "/pics", sharing: "shared", snapshot: false, app: "thumbs" },
  });
  assert.ok(!("volumes" in parseDefinition(text("{ volumes: {} }"), "bronze.yaml").run), "none is absent");
});

const refused: readonly (readonly [string, string, RegExp])[] = [
  ...["/proc/x", "/sys", "/dev/shm", "/etc/shop", "/run/secrets", "/run", "/"].map(
    (path) =>
      [
        `a path under ${path}`,
        text(`{ volumes: { data: ${path} } }`),
        /run\.volumes\.data: .* cannot be a volume/,
      ] as const,
  ),
  ["a relative path", text("{ volumes: { data: var/lib } }"), /absolute path/],
  ["a path that climbs", text("{ volumes: { data: /var/../etc } }"), /absolute path without/],
  ["a name in capitals", text("{ volumes: { Data: /d } }"), /lower-case letters/],
  ["no path", text("{ volumes: { data: { shared: true } } }"), /path: is missing/],
  ["a key it does not know", text("{ volumes: { data: { path: /d, share: true } } }"), /did you mean "shared"/],
  ["a path below /tmp", text("{ volumes: { data: /tmp/data } }"), /lie over each other/],
  ["a path above a tmpfs", text("{ tmpfs: [/var/cache/x], volumes: { data: /var/cache } }"), /lie over each other/],
  ["two volumes in one place", text("{ volumes: { a: /d, b: /d/e } }"), /\/d\/e and \/d lie over each other/],
  ["another app's volume alone", text("{ volumes: { a: { path: /d, app: db } } }"), /must be shared: true/],
  ["the app's own as another's", text("{ volumes: { a: { path: /d, app: shop, shared: true } } }"), /of shop anyway/],
  [
    "snapshots of another app's",
    text("{ volumes: { a: { path: /d, app: db, shared: true, snapshot: true } } }"),
    /of db/,
  ],
  [
    "several instances of what only one can have",
    text("{ volumes: { data: /d } }", "environments: { production: { instances: 2 } }\n"),
    /^bronze\.yaml:4:\d+ environments\.production\.instances: 2 instances of web want volume "data", which is exclusive/,
  ],
];
for (const [what, definition, message] of refused) {
  test(`parseDefinition() refuses ${what} of a volume, with its place`, () => {
    const problems = problemsOf(definition);
    assert.match(problems.join("\n"), message);
    assert.ok(problems.every((line) => /^bronze\.yaml:\d+:\d+ /.test(line)));
  });
}

test("parseDefinitionFile() refuses an exclusive volume that two apps want, naming both", () => {
  const body = (volumes: string): string =>
    `{ build: { dockerfile: D }, route: none, run: { volumes: { files: ${volumes} } } }`;
  const definition = (shop: string): string =>
    `apps:\n  shop: ${body(shop)}\n  thumbs: ${body("{ path: /f, shared: true, app: shop }")}\n`;
  assert.equal(parseDefinitionFile(definition("{ path: /f, shared: true }"), "bronze.yaml").kind, "apps");
  assert.throws(
    () => parseDefinitionFile(definition("/f"), "bronze.yaml"),
    ({ cause }: Error) =>
      /bronze\.yaml:3:\d+ apps\.thumbs\.run\.volumes\.files: app shop has volume "files" too/.test(String(cause)),
  );
});

test("parseDefinition() refuses an exclusive volume of two processes, and of several instances of one", () => {
  const two = "processes: { worker: { command: [w], volumes: { data: /d } } }\n";
  const problems = problemsOf(text("{ volumes: { data: /d } }", two)).join("\n");
  assert.match(problems, /processes\.worker\.volumes\.data: .*process web has it/);
  const many = "processes: { worker: { command: [w], instances: 2, volumes: { data: /d } } }\n";
  assert.match(problemsOf(text("{}", many)).join("\n"), /2 instances of worker want volume "data"/);
});

test("parseDefinition() bounds the number of volumes", () => {
  const many = Array.from({ length: 17 }, (_, i) => `v${i}: /data/${i}`).join(", ");
  assert.match(problemsOf(text(`{ volumes: { ${many} } }`)).join("\n"), /17 volumes, at most 16/);
});
