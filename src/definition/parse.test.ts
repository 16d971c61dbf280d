import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { defaultEnvironmentSettings, defaultRunSettings } from "../model/content.ts";
import { decodeDefinition } from "./decode.ts";
import { parseDefinition } from "./parse.ts";

const nested = (depth: number): string => Array.from({ length: depth }, (_, i) => `${" ".repeat(i)}a:\n`).join("");
const keys = (count: number): string => Array.from({ length: count }, (_, i) => `e${i}: {}`).join(", ");
const smallest = "app: shop\nbuild: { dockerfile: Dockerfile }\n";

function problemsOf(text: string): { code: string; lines: readonly string[] } {
  try {
    parseDefinition(text, "bronze.yaml");
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError, String(thrown));
    assert.ok(thrown.cause instanceof Error);
    return { code: thrown.code, lines: thrown.cause.message.split("\n") };
  }
  throw new Error("no problem was found");
}

test("parseDefinition() takes app and a build, and fills in every default", () => {
  assert.deepEqual(parseDefinition(smallest, "bronze.yaml"), {
    app: "shop",
    build: { kind: "dockerfile", path: "Dockerfile" },
    run: { ...defaultRunSettings, port: null, health: { path: null, deadlineMs: null } },
    environments: [{ name: "production", from: null, settings: defaultEnvironmentSettings }],
  });
});

test("parseDefinition() reads every key of this version", () => {
  const definition = parseDefinition(
    `
app: shop
build:
  debian: bookworm
  packages: [nodejs, ca-certificates, nodejs]
  copy: [server.js, ./public/, { from: conf, to: /etc/shop }]
  env: { NODE_ENV: production, LEVEL: 3 }
  workdir: /srv
  user: 1000:1000
  command: [node, server.js]
  expose: [3000]
route: { host: Shop.Example, path: /api }
run:
  command: [node, other.js]
  port: 3000
  health: { path: /healthz, deadline: 5s }
  drain: 10s
  minReady: 250ms
  resources: { memory: 256Mi, cpu: 0.5, pids: 64 }
  capabilities: [NET_BIND_SERVICE]
  tmpfs: [/var/cache/shop/, /tmp]
environments:
  staging: { instances: 2 }
  production:
    from: staging
    instances: 4
    strategy: blue-green
    deadline: 2m
    route: { host: www.shop.example }
    rollback: { keepWarm: 1h, within: 5s, watch: 0s }
`,
    "bronze.yaml",
  );
  assert.deepEqual(definition.build, {
    kind: "debian",
    suite: "bookworm",
    packages: ["ca-certificates", "nodejs"],
    recommends: false,
    full: false,
    architectures: [],
    copy: [
      { from: "server.js", to: "/srv/server.js" },
      { from: "public", to: "/srv/public" },
      { from: "conf", to: "/etc/shop" },
    ],
    env: { NODE_ENV: "production", LEVEL: "3" },
    workdir: "/srv",
    user: "1000:1000",
    command: ["node", "server.js"],
    expose: [3000],
  });
  assert.deepEqual(definition.run, {
    command: ["node", "other.js"],
    port: 3000,
    health: { path: "/healthz", deadlineMs: 5000 },
    drainMs: 10_000,
    minReadyMs: 250,
    resources: { memoryBytes: 256 * 1024 ** 2, cpu: 0.5, pids: 64 },
    capabilities: ["CAP_NET_BIND_SERVICE"],
    tmpfs: ["/var/cache/shop"],
  });
  const [staging, production] = definition.environments;
  assert.equal(staging?.settings.instances, 2);
  assert.deepEqual(staging?.settings.route, { host: "shop.example", path: "/api/" });
  assert.deepEqual(production, {
    name: "production",
    from: "staging",
    settings: {
      instances: 4,
      strategy: { kind: "blue-green", holdMs: 0 },
      deadlineMs: 120_000,
      keepWarmMs: 3_600_000,
      withinMs: 5000,
      watchMs: 0,
      route: { host: "www.shop.example", path: "/" },
    },
  });
});

test("parseDefinition() names all problems at once, each with line, column and path", () => {
  const { code, lines } = problemsOf(
    "app: Shop\nbuild: { dockerfile: ../Dockerfile }\nrun:\n  prot: 80\n  health: { deadline: 5 parsecs }\nenvironments:\n  production: { instances: 0 }\n",
  );
  assert.equal(code, "DEFINITION_INVALID");
  assert.equal(lines.length, 5);
  assert.match(lines[0] ?? "", /^bronze\.yaml:1:6 app: Cannot use "Shop"/);
  assert.equal(lines[1], "bronze.yaml:2:22 build.dockerfile: must be a path inside the project");
  assert.equal(lines[2], 'bronze.yaml:4:3 run.prot: unknown key, did you mean "port"?');
  assert.match(lines[3] ?? "", /^bronze\.yaml:5:23 run\.health\.deadline: /);
  assert.equal(lines[4], "bronze.yaml:7:28 environments.production.instances: must be a whole number from 1 to 256");
});

const later: readonly (readonly [string, string])[] = [
  ["route: { tls: cert.pem }\n", "route.tls"],
  ["environments: { production: { approvals: 1 } }\n", "environments.production.approvals"],
];
for (const [addition, path] of later) {
  test(`parseDefinition() refuses ${path}, which a later version will know, as not yet supported`, () => {
    const { code, lines } = problemsOf(smallest + addition);
    assert.equal(code, "NOT_YET_SUPPORTED");
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? "",
      new RegExp(`bronze\\.yaml:3:\\d+ ${path.replaceAll(".", "\\.")}: .*not yet supported`),
    );
  });
}

const refused: readonly (readonly [string, string, RegExp])[] = [
  ["an empty file", "", /app: NAME is missing/],
  ["a list", "- a\n", /must be a mapping/],
  ["a doubled key", `${smallest}app: other\n`, /:3:1 app: this key stands twice/],
  ["broken YAML", "app: [\n", /is not YAML/],
  ["two kinds of build", "app: a\nbuild: { image: x, debian: bookworm, command: [a] }\n", /only one of/],
  ["a command as a shell line", `${smallest}run: { command: node server.js }\n`, /must be a list of words/],
  ["a recipe without a command", "app: a\nbuild: { debian: bookworm }\n", /needs a command/],
  [
    "recipe keys beside a Dockerfile",
    "app: a\nbuild: { dockerfile: D, packages: [x] }\n",
    /belongs to a debian: recipe/,
  ],
  ["an unknown capability", `${smallest}run: { capabilities: [NET_BIND] }\n`, /not a Linux capability/],
  ["a tmpfs over /proc", `${smallest}run: { tmpfs: [/proc/x] }\n`, /cannot be a tmpfs/],
  ["a tmpfs that climbs", `${smallest}run: { tmpfs: [/var/../etc] }\n`, /absolute path without/],
  [
    "an unknown origin",
    `${smallest}environments: { production: { from: stagin } }\n`,
    /there is no environment "stagin"/,
  ],
  [
    "an origin that is mistyped",
    `${smallest}environments: { staging: {}, production: { from: stagin } }\n`,
    /:3:\d+ environments.production.from: .*did you mean staging\?/,
  ],
  [
    "origins in a circle",
    `${smallest}environments: { a: { from: b }, b: { from: c }, c: { from: b } }\n`,
    /:3:44 environments.b.from: leads back to where it began: b from c from b/,
  ],
  [
    "an environment that is named twice",
    `${smallest}environments:\n  staging: { instances: 1 }\n  staging: { instances: 2 }\n`,
    /:5:3 environments.staging: this key stands twice/,
  ],
  ["an anchor that is not there", `${smallest}route: *none\n`, /Unresolved alias|anchored/],
  ["a file beyond 256 KiB", `${smallest}#${"x".repeat(256 * 1024)}`, /larger than 256 KiB/],
  ["very deep nesting", `app: ${"[".repeat(200_000)}`, /nested too deeply/],
  ["deep nesting by indentation", nested(100), /nested too deeply/],
  ["two documents", `${smallest}---\napp: b\n`, /:3:1 a second document begins here/],
  ["a tab for indentation", "app: shop\nbuild:\n\tdockerfile: D\n", /:3:1 is not YAML: Tabs/],
  ["a text that ends within a block", ">: >\n    ...\n: app\n", /:3:1 is not YAML|:3:3 is not YAML/],
  ["a tag", `${smallest}run: !!js/function {}\n`, /:3:6 is not YAML: Unresolved tag/],
  ["a merge key", `${smallest}run:\n  <<: { port: 1 }\n`, /:4:3 run\.<<: merge keys are not taken/],
  [
    "a doubled key in a nested mapping",
    `${smallest}run: { port: 1, port: 2 }\n`,
    /:3:17 run\.port: this key stands twice/,
  ],
  ["more keys than are read", `${smallest}environments: {${keys(1001)}}\n`, /has 1001 keys, at most 1000 taken/],
  ["a number as text", `${smallest}run: { port: "80" }\n`, /not the text "80"; write it without quotes/],
  ["an octal number", `${smallest}run: { port: 0o17 }\n`, /in plain digits: 15, not 0o17/],
  ["a number with a zero before it", `${smallest}run: { port: 010 }\n`, /in plain digits: 10, not 010/],
  ["a hexadecimal number", `${smallest}run: { port: 0x50 }\n`, /in plain digits: 80, not 0x50/],
  ["a broken number", `${smallest}run: { port: 80.5 }\n`, /a whole number from 1 to 65535/],
  ["a negative number", `${smallest}run: { port: -1 }\n`, /a whole number from 1 to 65535/],
  ["no number", `${smallest}run: { resources: { cpu: .nan } }\n`, /a number from 0\.01 to 1024/],
  ["a size in a foreign unit", `${smallest}run: { resources: { memory: 256MB } }\n`, /did you mean 256Mi\?/],
  ["a duration without a unit", `${smallest}run: { drain: 30 }\n`, /did you mean 30s\?/],
  ["keepWarm at the top", `${smallest}keepWarm: 3m\n`, /"keepWarm" belongs under environments\.NAME\.rollback/],
  ["memory under run", `${smallest}run: { memory: 1Gi }\n`, /"memory" belongs under run\.resources/],
  [
    "watch beside rollback",
    `${smallest}environments: { staging: { watch: 5s } }\n`,
    /"watch" belongs under environments\.staging\.rollback/,
  ],
  ["deadline at the top", `${smallest}deadline: 3m\n`, /"deadline" belongs under run\.health or environments\.NAME/],
  ["app under run", `${smallest}run: { app: x }\n`, /"app" belongs under the top level/],
  ["what others call it", `${smallest}environments: { a: { replicas: 2 } }\n`, /did you mean "instances"\?/],
  ["a key that objects have", `${smallest}__proto__: { app: x }\n`, /:3:1 __proto__: unknown key/],
  ["a key that objects have, as a name", `${smallest}environments: { __proto__: {} }\n`, /an environment's name is/],
  ["a key with control characters", `${smallest}"a\\e[31m\\nb": 1\n`, /:3:1 a\\x1b\[31m\\nb: unknown key/],
  [
    "a marked secret without its reason",
    "app: a\nbuild: { dockerfile: D, allowSecrets: [{ path: /k.pem, rule: private-key }] }\n",
    /build\.allowSecrets\[0\]: needs path: .* and reason:/,
  ],
  [
    "settings of a build for an image that is taken as it is",
    "app: a\nbuild: { image: i.tar, allowSecrets: [] }\n",
    /build\.allowSecrets: has no meaning for an image/,
  ],
  ["a Dockerfile outside", "app: a\nbuild: { dockerfile: /etc/passwd }\n", /must be a path inside the project/],
  [
    "files to copy from outside",
    "app: a\nbuild: { debian: bookworm, command: [a], copy: [a/../../b] }\n",
    /build\.copy\[0\]: must be a path inside/,
  ],
];
for (const [what, text, message] of refused) {
  test(`parseDefinition() refuses ${what}`, () => {
    assert.match(problemsOf(text).lines.join("\n"), message);
  });
}

test("parseDefinition() reads what is marked as no secret", () => {
  const mark = { path: "/k.pem", rule: "private-key", reason: "a test key" };
  assert.deepEqual(
    parseDefinition(`app: a\nbuild: { dockerfile: D, allowSecrets: [${JSON.stringify(mark)}] }\n`, "f").build,
    {
      kind: "dockerfile",
      path: "D",
      allowSecrets: [mark],
    },
  );
});

test("parseDefinition() follows an alias but never expands one without bound", () => {
  const shared = parseDefinition(
    `${smallest}environments:\n  staging: &small { instances: 3 }\n  production: *small\n`,
    "bronze.yaml",
  );
  assert.deepEqual(
    shared.environments.map(({ settings }) => settings.instances),
    [3, 3],
  );
  const bomb = [
    "a: &a [x, x]",
    ...Array.from(
      { length: 30 },
      (_, i) => `k${i}: &k${i} [*${i === 0 ? "a" : `k${i - 1}`}, *${i === 0 ? "a" : `k${i - 1}`}]`,
    ),
  ];
  assert.equal(problemsOf(`${smallest}${bomb.join("\n")}\n`).code, "DEFINITION_INVALID");
});

test("parseDefinition() keeps a variable's name that objects have", () => {
  const { build } = parseDefinition(
    "app: a\nbuild: { debian: bookworm, command: [a], env: { __proto__: x, constructor: y } }\n",
    "bronze.yaml",
  );
  assert.deepEqual(Object.entries(build.kind === "debian" ? build.env : {}), [
    ["__proto__", "x"],
    ["constructor", "y"],
  ]);
});

test("parseDefinition() takes line ends and byte order mark of other systems", () => {
  const bytes = Buffer.from(`\ufeff${smallest.replaceAll("\n", "\r\n")}`);
  assert.equal(parseDefinition(decodeDefinition(bytes, "bronze.yaml"), "bronze.yaml").app, "shop");
});

test("parseDefinition() prints at most a hundred problems", () => {
  const { lines } = problemsOf(smallest + Array.from({ length: 900 }, (_, i) => `k${i}: 1\n`).join(""));
  assert.deepEqual([lines.length, lines.at(-1)], [101, "… and 800 more"]);
});

const noText: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["a NUL byte", Buffer.from("app: shop\nbuild: \0\n"), /bronze\.yaml:2:8 holds a NUL byte/],
  ["bytes that are no UTF-8", Buffer.from([0x61, 0x3a, 0x0a, 0xc3, 0xa4, 0xff]), /bronze\.yaml:2:2 .* no UTF-8/],
  ["a cut character at the end", Buffer.from([0x61, 0xc3]), /bronze\.yaml:1:2 .* no UTF-8/],
  ["UTF-16", Buffer.from("\ufeffapp: a", "utf16le"), /bronze\.yaml:1:1 is UTF-16/],
  ["ten megabytes", Buffer.alloc(10 * 2 ** 20, "#"), /bronze\.yaml:1:1 is larger than 256 KiB/],
];
for (const [what, bytes, message] of noText) {
  test(`decodeDefinition() refuses ${what}`, () => {
    assert.throws(
      () => decodeDefinition(bytes, "bronze.yaml"),
      (thrown) =>
        thrown instanceof OperatorError && thrown.cause instanceof Error && message.test(thrown.cause.message),
    );
  });
}

test("parseDefinition() reads target and arguments of a Dockerfile, and refuses them elsewhere", () => {
  const { build } = parseDefinition(
    'app: shop\nbuild: { dockerfile: Dockerfile, target: web, args: { A: 1.10, B: "", C: x y } }\n',
    "bronze.yaml",
  );
  const args = { A: "1.10", B: "", C: "x y" };
  assert.deepEqual(build, { kind: "dockerfile", path: "Dockerfile", target: "web", args });
  for (const text of ["build: { image: x, args: { A: 1 } }", "build: { dockerfile: x, args: { a-b: 1 } }"])
    assert.throws(() => parseDefinition(`app: shop\n${text}\n`, "bronze.yaml"), OperatorError);
});

test("parseDefinition() takes config as values or as the path of a file, at both places", () => {
  const definition = parseDefinition(
    `${smallest}config: { LEVEL: info, COUNT: 010, ON: true, EMPTY: "" }\nenvironments:\n  staging: { config: conf/./staging.env }\n  production: { config: { LEVEL: warn } }\n`,
    "bronze.yaml",
  );
  assert.deepEqual(definition.config, {
    kind: "values",
    values: { LEVEL: "info", COUNT: "010", ON: "true", EMPTY: "" },
  });
  assert.deepEqual(
    definition.environments.map(({ config }) => config),
    [
      { kind: "file", path: "conf/staging.env" },
      { kind: "values", values: { LEVEL: "warn" } },
    ],
  );
});

test("parseDefinition() refuses config that no instance could see, with its place", () => {
  const { lines } = problemsOf(
    `${smallest}config: { PORT: 1, BRONZE_X: 1, 1A: x, A-B: x, NONE: , __proto__: x, LONG: "${"x".repeat(33_000)}" }\nenvironments: { production: { config: ../up.env } }\n`,
  );
  assert.deepEqual(
    lines.map((line) => /^bronze.yaml:[0-9]+:[0-9]+ ([^:]+): (.{12})/.exec(line)?.slice(1)),
    [
      ["config.PORT", "is set by Br"],
      ["config.BRONZE_X", "is set by Br"],
      ["config.1A", "is not a var"],
      ["config.A-B", "is not a var"],
      ["config.NONE", "must be text"],
      ["config.__proto__", "is not a var"],
      ["config.LONG", "is 33000 byt"],
      ["environments.production.config", "must be vari"],
    ],
  );
});

test("parseDefinition() reads trust and revoked of an environment, and names the word that was most likely meant", () => {
  const settings = (body: string) =>
    parseDefinition(`${smallest}environments: { production: ${body} }\n`, "bronze.yaml").environments[0]?.settings;
  assert.deepEqual(settings("{ trust: off, revoked: replace }"), {
    ...defaultEnvironmentSettings,
    trust: "off",
    revoked: "replace",
  });
  assert.equal(settings("{}")?.trust, undefined);
  const { lines } = problemsOf(
    `${smallest}environments:\n  production:\n    trust: enforced\n    revoked: [x]\n    trsut: warn\n`,
  );
  assert.match(
    lines[0] ?? "",
    /:5:12 environments\.production\.trust: must be enforce, warn or off, not "enforced"; did you mean "enforce"\?/,
  );
  assert.match(lines[1] ?? "", /:6:14 environments\.production\.revoked: must be text/);
  assert.match(lines[2] ?? "", /:7:5 environments\.production\.trsut: unknown key, did you mean "trust"\?/);
});
