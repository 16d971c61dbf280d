import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { proposed } from "./testing.ts";

const shop = `
name: shop
x-common: &common
  LOG_LEVEL: info
services:
  web:
    build: { context: ., dockerfile: docker/Dockerfile }
    command: ["serve", "--port", "$\${PORT}"]
    ports: ["80:3000", "9229:9229"]
    environment:
      <<: *common
      GREETING: "\${GREETING:-hello there}"
      REGION: $REGION
      DATABASE_URL: postgres://shop:hunter2@db:5432/shop
      CACHE_URL: redis://cache:6379
      STRIPE_KEY: sk_live_${"x".repeat(24)}
      SESSION: 8f14e45fceea167a5a36dedd4bea2543
    env_file: .env
    depends_on: [db, cache]
    volumes: ["uploads:/data"]
    tmpfs: [/run/shop]
    healthcheck:
      test: ["CMD-SHELL", "curl -f http://localhost:3000/healthz?token=abc || exit 1"]
      interval: 10s
      start_period: 90s
    deploy:
      replicas: 3
      resources: { limits: { cpus: "0.5", memory: 256M } }
    labels: ["traefik.http.routers.web.rule=Host(\`Shop.example\`)"]
  worker: { build: ., command: node worker.js }
  db: { image: "postgres:16", environment: { POSTGRES_PASSWORD: hunter2 } }
  cache: { image: redis }
volumes: { uploads: {} }
`;

test("propose() carries a compose service over: build, command, port, health, limits, replicas, host", () => {
  const { definition, told } = proposed({
    "compose.yaml": shop,
    "docker/Dockerfile": 'FROM x\nENTRYPOINT ["/init"]\n',
  });
  assert.equal(definition.app, "shop");
  assert.deepEqual(definition.build, { kind: "dockerfile", path: "docker/Dockerfile" });
  assert.deepEqual(definition.run.command, ["/init", "serve", "--port", "3000"]);
  assert.equal(definition.run.port, 3000);
  assert.deepEqual(definition.run.health, { path: "/healthz", deadlineMs: 90_000 });
  assert.deepEqual([definition.run.resources.memoryBytes, definition.run.resources.cpu], [256 * 2 ** 20, 0.5]);
  assert.deepEqual(definition.run.tmpfs, ["/run/shop"]);
  assert.deepEqual(definition.config, { kind: "values", values: { LOG_LEVEL: "info", GREETING: "hello there" } });
  const [environment] = definition.environments;
  assert.deepEqual([environment?.settings.instances, environment?.settings.route?.host], [3, "shop.example"]);
  assert.match(told, /port 3000: compose\.yaml line 9 says so/);
});

test("propose() names all of a compose file that the definition does not say, with what to do", () => {
  const { notCarriedOver } = proposed({ "compose.yaml": shop, "docker/Dockerfile": "FROM x\n" });
  const named = notCarriedOver.map(({ what }) => what);
  for (const part of [
    "port 9229",
    "environment variable REGION",
    "environment variable DATABASE_URL",
    "environment variable CACHE_URL",
    "environment variable STRIPE_KEY",
    "environment variable SESSION",
    "env_file",
    "volumes",
    "labels",
    "healthcheck's interval",
    "the service worker",
    "the service db, which web needs (postgres:16)",
    "the service cache, which web needs (redis)",
  ])
    assert.ok(named.includes(part), `${part} is not among ${named.join("; ")}`);
  assert.match(notCarriedOver.find(({ what }) => what.endsWith("CACHE_URL"))?.where ?? "", /^compose\.yaml line 15$/);
  for (const { advice } of notCarriedOver) assert.notEqual(advice, "");
});

test("propose() takes services of the same image with another command as processes, with their limits", () => {
  const compose = `
services:
  web: { build: ./, ports: ["3000"], environment: { A: 1 } }
  jobs:
    build: { context: . }
    command: ["work", "--fast"]
    environment: { A: 1, B: 2 }
    deploy: { replicas: 2, resources: { limits: { memory: 64M } } }
    volumes: ["inbox:/inbox"]
  clock: { build: ".", entrypoint: tick }
  watcher: { build: ., command: npm run watch }
  other: { build: { context: ., target: other }, command: x }
  open: { build: ., command: x, ports: ["4000"] }
  plain: { build: . }
`;
  const { definition, told } = proposed({ "compose.yaml": compose, Dockerfile: 'FROM x\nENTRYPOINT ["/init"]\n' });
  assert.deepEqual(
    Object.entries(definition.run.processes ?? {}).map(([name, { command, resources }]) => [
      name,
      command,
      resources.memoryBytes,
    ]),
    [
      ["jobs", ["/init", "work", "--fast"], 64 * 2 ** 20],
      ["clock", ["tick"], null],
    ],
  );
  assert.deepEqual(definition.environments[0]?.settings.processes, { jobs: 2 });
  assert.match(told, /not carried over: the process watcher .*: it is for development/);
  assert.match(told, /environment variable B of jobs .*: all processes of an app have the same variables/);
  assert.match(told, /not carried over: volumes \(compose\.yaml line 9\)/);
  for (const name of ["other", "open", "plain"]) assert.match(told, new RegExp(`the service ${name} `));
});

const lines: readonly (readonly [string, string, readonly string[] | RegExp])[] = [
  ["what needs a shell", "celery beat | tee log", ["/bin/sh", "-c", "celery beat | tee log"]],
  ["variables before it", "LEVEL=2 celery beat", ["/usr/bin/env", "LEVEL=2", "celery", "beat"]],
  ["a secret", "celery --password=hunter2", /its arguments look like a secret/],
];
for (const [what, line, expected] of lines)
  test(`propose() carries a process over, or says why not: ${what}`, () => {
    const { definition, told, yaml } = proposed({
      Procfile: `web: gunicorn a:b\nceler_y-beat: ${line}\n`,
      "requirements.txt": "gunicorn==23\n",
    });
    const command = definition.run.processes?.["celerybeat"]?.command;
    if (expected instanceof RegExp) assert.match(told, expected);
    else assert.deepEqual(command, expected);
    assert.doesNotMatch(yaml + told, /hunter2/);
  });

test("propose() says of a process why the image that it writes cannot run it", () => {
  const node = proposed({ Procfile: "web: node server.js\nworker: sh work.sh\njobs: node jobs.js\n", "server.js": "" });
  assert.deepEqual(Object.keys(node.definition.run.processes ?? {}), ["jobs"]);
  assert.match(node.told, /the process worker .*: the image holds nodejs alone, without a shell/);
  const scripts = JSON.stringify({ scripts: { start: "node a.js", work: "node w.js" }, dependencies: { x: "1" } });
  const installed = proposed({
    Procfile: "worker: npm run work\nrelease2: x\nweb2: x\nv2: x\n",
    "package.json": scripts,
  });
  assert.deepEqual(installed.definition.run.processes?.["worker"]?.command, ["node", "w.js"]);
  assert.match(installed.told, /the process v2 .*: say it under processes: in bronze\.yaml, by a name/);
  const site = proposed({ Procfile: "worker: node w.js\n", "index.html": "" });
  assert.match(site.told, /the process worker .*: the image holds what web needs and no other program/);
  const image = proposed({
    "compose.yml": "services: { a: { image: 'x:1', ports: ['80'] }, b: { image: 'x:1', command: work } }",
  });
  assert.match(image.told, /the process b .*: say its whole command, with the image's entrypoint/);
});

test("propose() writes down and tells no secret of a compose file", () => {
  const { files, told } = proposed({
    "compose.yaml": shop.replace(", dockerfile: docker/Dockerfile", ""),
    "server.js": "",
  });
  const all = files.map(({ text }) => text).join("\n") + told;
  assert.doesNotMatch(all, /hunter2|sk_live|8f14e45f|token=abc/);
});

test("propose() puts a compose service's variables into the Dockerfile that it writes", () => {
  const { dockerfile, definition } = proposed({
    "compose.yaml": 'services: { web: { build: ., ports: ["3000"], environment: ["GREETING=hi $$you", "TOKEN=x"] } }',
    "package.json": JSON.stringify({ scripts: { start: "node a.js" }, dependencies: { x: "1" } }),
    "package-lock.json": "{}",
  });
  assert.match(dockerfile, /GREETING="hi \\\$you"/);
  assert.doesNotMatch(dockerfile, /TOKEN/);
  assert.equal(definition.run.port, 3000);
});

test("propose() goes to the folder that a compose service is built in", () => {
  const { folder, definition, files } = proposed({
    "compose.yaml": "services: { api: { build: ./services/api/ } }",
    "services/api/server.js": "app.listen(4000)",
  });
  assert.equal(folder, "services/api");
  assert.deepEqual([definition.app, definition.run.port, files.length], ["api", 4000, 1]);
});

test("propose() takes the app behind a proxy of its own, and an address without http:// in its health check", () => {
  const compose = `
services:
  nginx-proxy: { build: nginx, ports: ["80:80"] }
  flask-app:
    build: { context: flask, target: development }
    ports: ["8000"]
    healthcheck: { test: [CMD-SHELL, "curl --silent --fail localhost:8000/well || exit 1"] }
    command: gunicorn -w 3 -b 0.0.0.0:8000 app:app
`;
  const { folder, definition, told } = proposed({ "compose.yaml": compose, "flask/Dockerfile": "FROM x\n" });
  assert.deepEqual([folder, definition.run.port, definition.run.health.path], ["flask", 8000, "/well"]);
  assert.match(told, /not carried over: build\.target \(compose\.yaml line 5\): it is for development/);
});

test("propose() leaves what a compose file says for development", () => {
  const { definition, told, files } = proposed({
    "compose.yaml":
      "services: { web: { build: ., command: npm run dev, environment: { NODE_ENV: development, APP_DEBUG: 1, LANG: C } } }",
    "package.json": JSON.stringify({ scripts: { start: "node server.js", dev: "nodemon" } }),
    "server.js": "",
  });
  assert.ok(definition.build.kind === "debian");
  assert.deepEqual([definition.build.command, definition.build.env], [["node", "server.js"], { LANG: "C" }]);
  assert.match(told, /not carried over: command \(compose\.yaml line 1\): it is for development/);
  assert.match(told, /environment variable NODE_ENV .*: it is for development/);
  assert.doesNotMatch(files.map(({ text }) => text).join(), /DEBUG/);
});

test("propose() chooses the service that is built and has ports; --service names another", () => {
  const compose =
    "services: { jobs: { build: . }, site: { build: ., ports: [80:8000] }, tool: { build: ., ports: ['1234'] } }";
  const files = { "compose.yaml": compose, Dockerfile: "FROM x\n" };
  assert.equal(proposed(files).definition.run.port, 8000);
  assert.equal(proposed(files, { from: "compose.yaml", service: "tool" }).definition.run.port, 1234);
  const withOther = { ...files, "config/deploy.yml": "service: x\n" };
  assert.equal(proposed(withOther, { service: "site" }).definition.run.port, 8000);
  assert.throws(() => proposed({ Dockerfile: "FROM x" }, { service: "site" }), /is no compose file/);
  assert.throws(
    () => proposed(files, { from: "compose.yaml", service: "toool" }),
    (error) => error instanceof OperatorError && error.code === "NOT_FOUND" && /did you mean tool/.test(error.hint),
  );
});

test("propose() leaves a compose file of databases alone", () => {
  const files = { "docker-compose.yml": "services: { db: { image: postgres } }", "server.js": "" };
  assert.equal(proposed(files).kind, "node");
  assert.throws(
    () => proposed(files, { from: "docker-compose.yml" }),
    (error) => error instanceof OperatorError && /other people's images/.test(error.message),
  );
});

test("propose() takes an image that a compose file runs as it is", () => {
  const { definition } = proposed({ "compose.yml": "services: { blog: { image: ghost:5, ports: ['80:2368'] } }" });
  assert.deepEqual(definition.build, { kind: "image", path: "ghost:5" });
  assert.equal(definition.run.port, 2368);
  const untagged = proposed({ "compose.yml": "services: { blog: { image: 'localhost:5000/me/blog' } }" }).definition
    .build;
  assert.deepEqual(untagged, { kind: "image", path: "localhost:5000/me/blog:latest" });
});

const broken: readonly (readonly [string, string, RegExp])[] = [
  ["no YAML", "services: [\n", /compose\.yaml:2:1 is not YAML/],
  ["a list", "- a\n", /must be a mapping/],
  ["deep nesting", `a: ${"[".repeat(1000)}`, /nested too deeply/],
  [
    "aliases without bound",
    `a: &a [x, x]\n${Array.from({ length: 30 }, (_, i) => `k${i}: &k${i} [*${i === 0 ? "a" : `k${i - 1}`}, *${i === 0 ? "a" : `k${i - 1}`}]`).join("\n")}\n`,
    /far too much/,
  ],
  ["more than 256 KiB", `#${"x".repeat(256 * 1024)}`, /larger than 256 KiB/],
];
for (const [what, text, message] of broken) {
  test(`propose() refuses a compose file with ${what}, by place and without its text`, () => {
    assert.throws(
      () => proposed({ "compose.yaml": text }),
      (error) =>
        error instanceof OperatorError &&
        error.code === "DEFINITION_INVALID" &&
        error.cause instanceof Error &&
        message.test(error.cause.message),
    );
  });
}
