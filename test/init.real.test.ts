import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import type { DeployResult } from "../src/model/api.ts";
import { createSite, get, type Site } from "./support/bronze.ts";

/** Writes a project of its own beside the site's, and puts it live as it is proposed. */
async function initAndUp(site: Site, app: string, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(dirname(site.project), app);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
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
  return url.replace(`${app}.example`, "127.0.0.1");
}

test(
  "what init writes for a site and for a Python program builds, goes live and answers",
  { timeout: 300_000 },
  async (t) => {
    const site = createSite(t);
    const pages = await initAndUp(site, "pages", {
      "index.html": "a page\n",
      "css/x.css": "p {}\n",
      ".env": "SECRET=x\n",
    });
    assert.deepEqual(await get(pages, { host: "pages.example" }), { status: 200, body: "a page\n" });
    assert.equal((await get(`${pages}.env`, { host: "pages.example" })).status, 404);
    const program = await initAndUp(site, "python", {
      "server.py": [
        "import os",
        "from http.server import BaseHTTPRequestHandler, HTTPServer",
        "class Handler(BaseHTTPRequestHandler):",
        "    def do_GET(self):",
        "        self.send_response(200 if self.path in ('/', '/healthz') else 404)",
        "        self.end_headers()",
        "        self.wfile.write(f'{os.getuid()} {os.environ[\"PORT\"]}\\n'.encode())",
        "HTTPServer(('', int(os.environ.get('PORT', 8000))), Handler).serve_forever()",
        "",
      ].join("\n"),
      "requirements.txt": "",
    });
    assert.deepEqual(await get(program, { host: "python.example" }), { status: 200, body: "65532 8000\n" });
  },
);
