import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import test from "node:test";
import type { DeployResult } from "../src/model/api/releases.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import { placesOf } from "../src/model/places.ts";
import { createSite, dockerfile, get } from "./support/bronze.ts";

const httpd = (folder: string, port: number): string =>
  `[/bin/busybox, sh, -c, "trap 'kill $!; exit 0' TERM; /bin/busybox httpd -f -p ${port} -h ${folder} & wait $!"]`;

const definition = `
environments:
  staging: { instances: 1 }
  production: { instances: 2 }
apps:
  shop:
    build: { dockerfile: Dockerfile }
    needs: [db]
    run: { port: 8080, command: ${httpd("/www", 8080)} }
    environments:
      staging: { route: { host: staging.example } }
      production: { route: { host: shop.example } }
  db:
    build: { dockerfile: Dockerfile }
    route: none
    run: { port: 5000, health: { tcp: true }, command: ${httpd("/db", 5000)} }
    environments: { production: { instances: 1 } }
`;

/** Asks from inside, as any program would: bash looks names up by the C library, which a static busybox cannot. */
const asker = `#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
export ASKED=$QUERY_STRING
/bin/busybox timeout 2 /bin/bash -c '
  exec 3<>/dev/tcp/$ASKED/5000 || exit
  printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3
  exec /bin/busybox tail -n 1 <&3
' 2>&1 || echo failed
`;

/** A program of this machine with what it is linked to, below a project's root. */
function copyProgram(root: string, program: string): void {
  const libraries = [...execFileSync("ldd", [program], { encoding: "utf8" }).matchAll(/(\/\S+) \(/g)];
  for (const [from, to] of [[program, `/bin/${basename(program)}`], ...libraries.map(([, path]) => [path, path])]) {
    assert.ok(from !== undefined && to !== undefined);
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
  }
}

test(
  "two apps in two environments: names lead to the environment's own, also after a redeploy, and nothing else can be reached",
  { timeout: 120_000 },
  async (t) => {
    const site = createSite(t);
    site.write({ Dockerfile: dockerfile(["/bin/busybox"]), "bronze.yaml": definition, "root/db/index.html": "one\n" });
    site.write({ "root/www/cgi-bin/ask": asker }, 0o755);
    copyProgram(join(site.project, "root"), "/bin/bash");
    const statuses = async (): Promise<StatusReport["environments"]> =>
      (await site.json<StatusReport>(["status"])).environments;
    const up = (...args: readonly string[]): Promise<readonly (DeployResult & { readonly app: string })[]> =>
      site.json(["up", ...args]);

    const staged = await up("-e", "staging", "--http-port", "0");
    assert.deepEqual(
      staged.map(({ app, release, created }) => [app, release, created]),
      [
        ["shop", 1, true],
        ["db", 1, true],
      ],
    );
    await up("-e", "production");
    const { url } = (await site.json<StatusReport>(["status"])).daemon;
    const ask = async (environment: "shop" | "staging", what: string): Promise<string> =>
      (await get(`${url}/cgi-bin/ask?${what}`, { host: `${environment}.example` })).body.trim();
    const databases = (await statuses()).filter(({ app }) => app === "db");
    const addressIn = (environment: string): string =>
      databases.find((one) => one.environment === environment)?.instances[0]?.address ?? assert.fail(environment);

    assert.deepEqual([await ask("shop", "db"), await ask("staging", "db")], ["one", "one"]);
    assert.equal(await ask("shop", addressIn("production")), "one");
    assert.match(await ask("staging", addressIn("production")), /failed$/);
    assert.match(await ask("shop", addressIn("staging")), /failed$/);

    const plain = await site.bronze(["logs"]);
    assert.equal(plain.status, 2);
    assert.match(plain.stderr, /defines shop, db\n.*name one with --app/s);

    site.write({ "root/db/index.html": "two\n" });
    const [again] = [await site.json<DeployResult>(["up", "-e", "production", "--app", "db"])];
    assert.deepEqual([again.release, again.url], [2, null]);
    assert.deepEqual([await ask("shop", "db"), await ask("staging", "db")], ["two", "one"]);
    await site.json(["rollback", "-e", "production", "--app", "db"]);
    assert.equal(await ask("shop", "db"), "one");

    await site.json(["down", "-e", "staging", "--app", "db"]);
    assert.match(await ask("staging", "db"), /(not known|resolution).*failed$/s);
    assert.equal(await ask("shop", "db"), "one");
    assert.deepEqual(
      (await statuses()).flatMap(({ instances }) => instances.flatMap(({ drift }) => drift)),
      [],
    );

    assert.deepEqual(
      (await site.json<readonly { readonly app: string }[]>(["down", "-e", "production"])).map(({ app }) => app),
      ["shop", "db"],
    );
    await site.json(["down", "--all"]);
    const { tag } = placesOf(site.state);
    const left = [execFileSync("ip", ["-o", "link"]), execFileSync("iptables-save")].map(String);
    assert.ok(left.every((text) => !text.includes(tag)));
  },
);
