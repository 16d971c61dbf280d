import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { readProjects } from "./definitions.ts";
import { loadProject, loadProjects } from "./project.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A folder with these files. @returns the path of its bronze.yaml */
function written(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "bronze-definitions-"));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return join(folder, "bronze.yaml");
}

const app = (name: string, more = ""): string => `app: ${name}\nbuild: { dockerfile: Dockerfile }\n${more}`;

async function causeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail("nothing was refused"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OperatorError && error.cause instanceof Error, String(error));
  return error.cause.message;
}

test("readProjects() reads a list of folders and files, each app with the folder of its own definition", async () => {
  const file = written({
    "bronze.yaml": "apps: [./db, shop/production.yaml]\n",
    "db/bronze.yaml": app("db", "route: none\n"),
    "shop/production.yaml": app("shop", "needs: [db]\n"),
  });
  const projects = await readProjects(file);
  assert.deepEqual(
    projects?.map(({ definition, folder }) => [definition.app, folder]),
    [
      ["db", join(dirname(file), "db")],
      ["shop", join(dirname(file), "shop")],
    ],
  );
  assert.equal((await loadProject({ file, app: "shop" })).definition.app, "shop");
  await assert.rejects(loadProject({ file }), { code: "USAGE", message: /defines db, shop$/ });
  await assert.rejects(loadProjects({ file, app: "web" }), { code: "USAGE" });
  assert.equal(await readProjects(join(dirname(file), "other.yaml")), undefined);
});

const refused: readonly (readonly [what: string, files: Readonly<Record<string, string>>, says: RegExp])[] = [
  [
    "a definition that is not there",
    { "bronze.yaml": "apps: [./db]\n" },
    /bronze\.yaml:1:8 apps: there is no definition/,
  ],
  [
    "a list of lists",
    { "bronze.yaml": "apps: [./all]\n", "all/bronze.yaml": "apps: [../db]\n" },
    /bronze\.yaml:1:8 apps: ".*all" is a list itself|is a list itself/,
  ],
  [
    "an app that two define",
    { "bronze.yaml": "apps: [a, b]\n", "a/bronze.yaml": app("db"), "b/bronze.yaml": app("db") },
    /bronze\.yaml:1:11 apps: .*defines db, which another one defines already/,
  ],
  [
    "a need that none of them is, at its place",
    { "bronze.yaml": "apps: [a, b]\n", "a/bronze.yaml": app("db"), "b/bronze.yaml": app("shop", "needs: [dp]\n") },
    /b\/bronze\.yaml:3:9 needs\[0\]: there is no app "dp"; did you mean "db"\?/,
  ],
  [
    "needs in a circle through several files",
    {
      "bronze.yaml": "apps: [a, b]\n",
      "a/bronze.yaml": app("db", "needs: [shop]\n"),
      "b/bronze.yaml": app("shop", "needs: [db]\n"),
    },
    /a\/bronze\.yaml:3:9 needs\[0\]: leads back to where it began: db → shop → db/,
  ],
];
for (const [what, files, says] of refused) {
  test(`readProjects() refuses ${what}`, async () => {
    assert.match(await causeOf(readProjects(written(files))), says);
  });
}
