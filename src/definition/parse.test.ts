import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OperatorError } from "../errors/operator-error.ts";
import { defaultEnvironmentSettings, defaultRunSettings } from "../model/content.ts";
import { parseDefinition } from "./parse.ts";

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
    run: { ...defaultRunSettings, port: null },
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
      strategy: "blue-green",
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
  ["processes: { worker: { command: [a] } }\n", "processes"],
  ["route: { tls: cert.pem }\n", "route.tls"],
  ["run: { volumes: { data: /var/lib } }\n", "run.volumes"],
  ["secrets: [DATABASE_URL]\n", "secrets"],
  ["environments: { production: { approvals: 1 } }\n", "environments.production.approvals"],
  ["environments: { production: { strategy: { canary: { steps: [5] } } } }\n", "environments.production.strategy"],
  ["environments: { production: { strategy: rolling } }\n", "environments.production.strategy"],
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
  ["a doubled key", `${smallest}app: other\n`, /:3:1 this key stands twice/],
  ["broken YAML", "app: [\n", /is not YAML/],
  ["two documents", `${smallest}---\napp: b\n`, /is not YAML/],
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
  ["origins in a circle", `${smallest}environments: { a: { from: b }, b: { from: a } }\n`, /leads back/],
  ["an anchor that is not there", `${smallest}route: *none\n`, /Unresolved alias|anchored/],
  ["a file beyond 1 MiB", `${smallest}#${"x".repeat(1024 * 1024)}`, /larger than 1 MiB/],
  ["very deep nesting", `app: ${"[".repeat(200_000)}`, /nested too deeply|not YAML/],
];
for (const [what, text, message] of refused) {
  test(`parseDefinition() refuses ${what}`, () => {
    assert.match(problemsOf(text).lines.join("\n"), message);
  });
}

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

test("parseDefinition() either returns a definition or throws an OperatorError, whatever the text", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "app",
      "build",
      "run",
      "port",
      "debian",
      "environments",
      "strategy",
      ": ",
      "\n",
      "  ",
      "- ",
      "{",
      "}",
      "[",
      "]",
      "&a",
      "*a",
      "'",
      '"',
      "|",
      "!!x",
      "shop",
      "null",
      "0",
    ),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        parseDefinition(pieces.join(""), "bronze.yaml");
      } catch (thrown) {
        assert.ok(thrown instanceof OperatorError, String(thrown));
      }
    }),
    { numRuns: 1000 },
  );
});
