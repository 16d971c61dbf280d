import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDefinition } from "../../definition/parse.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Folder } from "./folder.ts";
import { proposeDefinition } from "./propose.ts";

function folderOf(files: { readonly [path: string]: string }): Folder {
  const tops = Object.keys(files).map((path) => (path.includes("/") ? `${path.split("/")[0]}/` : path));
  return {
    name: "My Shop",
    entries: [...new Set(tops)].sort(),
    read: (name) => files[name],
    hasFile: (name) => files[name] !== undefined,
  };
}

test("proposeDefinition() takes the port from the last stage's EXPOSE of a Dockerfile, and names what cannot be built yet", () => {
  const proposal = proposeDefinition(
    folderOf({
      Dockerfile: "FROM a AS x\nEXPOSE 1\nFROM debian:bookworm\nRUN make\nEXPOSE 3000/tcp\n",
      "package.json": "{}",
    }),
  );
  const definition = parseDefinition(proposal.yaml, "bronze.yaml");
  assert.equal(definition.app, "my-shop");
  assert.deepEqual(definition.build, { kind: "dockerfile", path: "Dockerfile" });
  assert.equal(definition.run.port, 3000);
  assert.equal(proposal.todo.length, 3);
  assert.match(
    proposal.todo.join("\n"),
    /bronze import PATH --name debian:bookworm\n.* line 4 is a RUN step.*\n.*several stages/,
  );
});

test("proposeDefinition() makes a recipe of a Node project: start script, port, and no hidden files in the image", () => {
  const files = {
    "package.json":
      '{"name": "@me/Web_App", "scripts": {"start": "node src/main.js --quiet"}, "dependencies": {"x": "1"}}',
    "src/main.js": "server.listen(3000)",
    ".env": "SECRET=1",
    "README.md": "",
    "bronze.yml": "",
  };
  const proposal = proposeDefinition(folderOf(files));
  const definition = parseDefinition(proposal.yaml, "bronze.yaml");
  assert.equal(definition.app, "web-app");
  assert.ok(definition.build.kind === "debian");
  assert.deepEqual(definition.build.command, ["node", "src/main.js", "--quiet"]);
  assert.deepEqual(
    definition.build.copy.map(({ from }) => from),
    ["package.json", "src"],
  );
  assert.equal(definition.run.port, 3000);
  assert.match(proposal.todo[0] ?? "", /1 dependency is not installed: run npm install --omit=dev/);
});

test("proposeDefinition() finds the program where the start script needs a shell, and says when there is none", () => {
  const found = proposeDefinition(
    folderOf({ "package.json": '{"scripts": {"start": "A=1 node x.js"}}', "server.js": "process.env.PORT" }),
  );
  assert.match(found.yaml, /command: \[node, server\.js\]/);
  assert.throws(
    () => proposeDefinition(folderOf({ "package.json": '{"scripts": {"start": "next start"}}' })),
    (error) => error instanceof OperatorError && error.code === "NOT_FOUND",
  );
});

test("proposeDefinition() serves a folder of static files, from the top or from its own folder", () => {
  const top = parseDefinition(
    proposeDefinition(folderOf({ "index.html": "", "a b.css": "", ".git/config": "" })).yaml,
    "bronze.yaml",
  );
  assert.ok(top.build.kind === "debian");
  assert.deepEqual(top.build.copy, [
    { from: "a b.css", to: "/srv/www/a b.css" },
    { from: "index.html", to: "/srv/www/index.html" },
  ]);
  const below = parseDefinition(
    proposeDefinition(folderOf({ "public/index.html": "", "package.json": '{"scripts": {"build": "x"}}' })).yaml,
    "bronze.yaml",
  );
  assert.ok(below.build.kind === "debian");
  assert.deepEqual(below.build.copy, [{ from: "public", to: "/srv/www" }]);
});

test("proposeDefinition() takes a lone server.js for a program, also beside a page that it may serve", () => {
  const alone = proposeDefinition(folderOf({ "server.js": "listen(3000)", "index.html": "" }));
  assert.match(alone.yaml, /command: \[node, server\.js\]/);
  assert.match(proposeDefinition(folderOf({ "app.js": "" })).yaml, /command: \[node, app\.js\]/);
  assert.equal(proposeDefinition(folderOf({ "app.js": "", "index.html": "" })).kind, "static");
  assert.deepEqual([alone.kind, parseDefinition(alone.yaml, "bronze.yaml").run.port], ["node", 3000]);
});

test("proposeDefinition() refuses a folder of no known kind", () => {
  assert.throws(
    () => proposeDefinition(folderOf({ "notes.txt": "" })),
    (error) => error instanceof OperatorError && error.code === "NOT_FOUND",
  );
});
