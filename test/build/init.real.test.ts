import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { createSite, get, type Answer, type Site, type DeployResult } from "../support/bronze.ts";
import { packPackages, putNodeBase } from "../support/node-base.ts";

/** Writes a project of its own beside the site's. */
function writeProject(site: Site, app: string, files: Readonly<Record<string, string>>): string {
  const folder = join(dirname(site.project), app);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Puts a project live as `init` proposes it. @returns what asks it for a path */
async function initAndUp(site: Site, app: string, folder: string): Promise<(path: string) => Promise<Answer>> {
  const init = await site.bronze(["init"], { cwd: folder });
  assert.equal(init.status, 0, init.stderr);
  assert.match(init.stdout, /wrote bronze\.yaml/);
  assert.match(init.stderr, /next: bronze up/);
  const again = await site.bronze(["init"], { cwd: folder });
  assert.equal(again.status, 2);
  assert.match(again.stderr, /bronze\.yaml": it is there already/);
  // Apps of one machine share its port.
  appendFileSync(join(folder, "bronze.yaml"), `route: { host: ${app}.example }\n`);
  const up = await site.bronze(["up", "--http-port", "0", "--json"], { cwd: folder });
  assert.equal(up.status, 0, up.stderr + up.stdout);
  const { url } = JSON.parse(up.stdout.trim().split("\n").at(-1) ?? "") as DeployResult;
  const { port } = new URL(url);
  return (path) => get(`http://127.0.0.1:${port}${path}`, { host: `${app}.example` });
}

test("what init writes builds, goes live and answers", { timeout: 600_000 }, async (t) => {
  const site = createSite(t);

  await t.test("for a folder of pages", async () => {
    const ask = await initAndUp(
      site,
      "pages",
      writeProject(site, "pages", { "index.html": "a page\n", "css/x.css": "p {}\n", ".env": "A=b\n" }),
    );
    assert.deepEqual(await ask("/"), { status: 200, body: "a page\n" });
    assert.deepEqual(await ask("/css/x.css"), { status: 200, body: "p {}\n" });
    assert.equal((await ask("/.env")).status, 404);
  });

  await t.test("for a Python program without packages", async () => {
    const server = [
      "import os, signal",
      "from http.server import BaseHTTPRequestHandler, HTTPServer",
      "class Handler(BaseHTTPRequestHandler):",
      "    def do_GET(self):",
      "        self.send_response(200 if self.path in ('/', '/healthz') else 404)",
      "        self.end_headers()",
      "        self.wfile.write(f'{os.getuid()} {os.environ[\"PORT\"]}\\n'.encode())",
      "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))",
      "HTTPServer(('', int(os.environ.get('PORT', 8000))), Handler).serve_forever()",
      "",
    ];
    const files = { "server.py": server.join("\n"), "requirements.txt": "" };
    const ask = await initAndUp(site, "python", writeProject(site, "python", files));
    assert.deepEqual(await ask("/"), { status: 200, body: "65532 8000\n" });
  });

  await t.test("for a Node project with a lock file, packages and a build", async () => {
    await putNodeBase(site, "node:26-slim");
    const folder = writeProject(site, "shop", {
      // Needs what is needed to build only.
      "build.js": "require('ee-first'); require('fs').cpSync('src', 'out', { recursive: true });\n",
      "src/server.js": [
        "const { existsSync } = require('fs');",
        "const has = ['node_modules/ee-first', '.env'].map((path) => existsSync(path));",
        "const answer = [require('ms')('2 days'), ...has, process.getuid(), process.env.NODE_ENV];",
        "process.on('SIGTERM', () => process.exit());",
        "require('http').createServer((_, response) => response.end(answer.join())).listen(process.env.PORT || 3000);",
        "",
      ].join("\n"),
      ".env": "A=b\n",
    });
    const [ms = "", first = ""] = packPackages(["ms@2.1.3", "ee-first@1.1.1"], join(folder, "vendor"));
    const manifest = {
      engines: { node: ">=26" },
      scripts: { start: "node out/server.js", build: "node build.js" },
      dependencies: { ms: `file:vendor/${ms}` },
      devDependencies: { "ee-first": `file:vendor/${first}` },
    };
    writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
    execFileSync("npm", ["install", "--package-lock-only", "--ignore-scripts"], { cwd: folder, stdio: "ignore" });
    const ask = await initAndUp(site, "shop", folder);
    assert.deepEqual(await ask("/"), { status: 200, body: "172800000,false,false,65532,production" });
  });
});
