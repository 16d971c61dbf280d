import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { proposed } from "./testing.ts";

const json = JSON.stringify;

test("propose() takes what a Dockerfile of its own says: port, user, volumes, in the stage that is built", () => {
  const { definition, told, files } = proposed({
    Dockerfile:
      "FROM a AS base\nUSER app\nFROM x AS other\nEXPOSE 1\nFROM base\nVOLUME /data\nRUN make\nEXPOSE 3000/tcp\n",
    "package.json": "{}",
    ".dockerignore": ".env\n",
  });
  assert.equal(definition.app, "my-shop");
  assert.deepEqual(definition.build, { kind: "dockerfile", path: "Dockerfile" });
  assert.equal(definition.run.port, 3000);
  assert.deepEqual(
    files.map(({ path }) => path),
    ["bronze.yaml"],
  );
  assert.match(told, /port 3000: Dockerfile line 8 exposes it/);
  assert.match(told, /not carried over: VOLUME \(Dockerfile line 6\)/);
  assert.doesNotMatch(told, /user/);
});

test("propose() gives a port below 1024 the capability it needs", () => {
  const { definition } = proposed({ Dockerfile: "FROM x\nEXPOSE 80\n" });
  assert.deepEqual(definition.run.capabilities, ["CAP_NET_BIND_SERVICE"]);
});

test("propose() writes a .dockerignore beside a Dockerfile, but for what that asks for", () => {
  const { files } = proposed({ Dockerfile: "FROM x\nCOPY .github/x /x\nCOPY . /app\n", "deploy/id_rsa": "x" });
  const ignored = files.find(({ path }) => path === ".dockerignore")?.text.split("\n") ?? [];
  assert.ok(ignored.includes("**/.env") && ignored.includes(".git") && ignored.includes("deploy/id_rsa"));
  assert.ok(!ignored.includes(".github"));
});

test("propose() makes a recipe of a Node project without packages: start script, port, no hidden files in the image", () => {
  const { definition, told } = proposed({
    "package.json": json({ name: "@me/Web_App", scripts: { start: "node src/main.js --quiet" } }),
    "src/main.js": "server.listen(3000)",
    ".env": "SECRET=1",
    "README.md": "",
    "bronze.yml": "",
  });
  assert.equal(definition.app, "web-app");
  assert.ok(definition.build.kind === "debian");
  assert.deepEqual(definition.build.command, ["node", "src/main.js", "--quiet"]);
  assert.deepEqual(
    definition.build.copy.map(({ from }) => from),
    ["package.json", "src"],
  );
  assert.equal(definition.run.port, 3000);
  assert.match(told, /port 3000: src\/main\.js line 1 listens on it/);
});

test("propose() takes the suite whose Node the project takes, else an image", () => {
  const project = (engines: string) =>
    proposed({ "package.json": json({ engines: { node: engines } }), "server.js": "" }).definition.build;
  const suiteOf = (engines: string): string => {
    const build = project(engines);
    return build.kind === "debian" ? build.suite : build.kind;
  };
  assert.deepEqual([">=16", ">=20", "20.x", ">=22"].map(suiteOf), ["bookworm", "trixie", "trixie", "dockerfile"]);
});

test("propose() serves a folder of static files, from the top or from its own folder", () => {
  const top = proposed({ "index.html": "", "a b.css": "", ".git/config": "" }).definition;
  assert.ok(top.build.kind === "debian");
  assert.deepEqual(top.build.copy, [
    { from: "a b.css", to: "/srv/www/a b.css" },
    { from: "index.html", to: "/srv/www/index.html" },
    { from: "nginx.conf", to: "/etc/nginx/nginx.conf" },
  ]);
  const below = proposed({ "public/index.html": "", "package.json": json({ scripts: { build: "x" } }) }).definition;
  assert.ok(below.build.kind === "debian");
  assert.deepEqual(below.build.copy, [
    { from: "public", to: "/srv/www" },
    { from: "nginx.conf", to: "/etc/nginx/nginx.conf" },
  ]);
  assert.deepEqual(
    proposed({ "index.html": "", "nginx.conf": "mine" }).files.map(({ path }) => path),
    ["nginx.bronze.conf", "bronze.yaml"],
  );
});

test("propose() takes a lone server.js for a program, also beside a page that it may serve", () => {
  const alone = proposed({ "server.js": "listen(3000)\nhttp.listen(3000)", "index.html": "" });
  assert.match(alone.yaml, /command: \[node, server\.js\]/);
  assert.match(proposed({ "app.js": "" }).yaml, /command: \[node, app\.js\]/);
  assert.equal(proposed({ "app.js": "", "index.html": "" }).kind, "static");
  assert.deepEqual([alone.kind, alone.definition.run.port], ["node", 3000]);
});

const refused: readonly (readonly [string, Readonly<Record<string, string>>, string, RegExp])[] = [
  ["a folder of no known kind", { "notes.txt": "" }, "NOT_FOUND", /no Dockerfile, package\.json/],
  ["a package.json without anything to start", { "package.json": "{}" }, "NOT_FOUND", /how "My Shop" is started/],
  ["a package.json that is no JSON", { "package.json": "{", "server.js": "" }, "DEFINITION_INVALID", /not JSON/],
  ["a Python project without anything to start", { "requirements.txt": "x" }, "NOT_FOUND", /no manage\.py/],
  [
    "a project of another language, whatever its package.json builds",
    {
      Gemfile: "",
      Procfile: "web: bundle exec puma",
      "package.json": json({ devDependencies: { vite: "6" }, scripts: { build: "vite build" } }),
    },
    "NOT_FOUND",
    /Gemfile tells of a language that init does not know/,
  ],
  [
    "a compose file whose Dockerfile is not there",
    { "compose.yaml": "services: { web: { build: { context: ., dockerfile: ./x.Dockerfile } } }", "server.js": "" },
    "NOT_FOUND",
    /"x\.Dockerfile", which compose\.yaml names/,
  ],
  [
    "a site of more files than a recipe lists",
    { "index.html": "", ...Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`${i}.html`, ""])) },
    "DEFINITION_INVALID",
    /601 files at its top, 500 at most/,
  ],
  [
    "a start script with a secret in it",
    { "package.json": json({ scripts: { start: "node server.js --token=hunter2hunter2" } }) },
    "DEFINITION_INVALID",
    /scripts\.start: its arguments look like a secret/,
  ],
];
for (const [what, files, code, message] of refused) {
  test(`propose() refuses ${what}`, () => {
    assert.throws(
      () => proposed(files),
      (error) => error instanceof OperatorError && error.code === code && message.test(error.message),
    );
  });
}
