import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createSite } from "../support/bronze.ts";

test("an instance cannot read the key that signed what it runs", { timeout: 300_000 }, async (t) => {
  const site = createSite(t);
  site.define({ instances: 1 });
  await site.json(["up", "--http-host", "127.0.0.1", "--http-port", "0"]);
  const [name = ""] = readdirSync(join(site.state, "keys/signing"));
  const key = join(site.state, "keys/signing", name);
  const tries = [
    `$b cat ${key}`,
    `$b cat /proc/1/root${key}`,
    `$b cat /proc/self/cwd/../../..${key}`,
    "$b find / -xdev -name '*.key' -exec $b cat {} +",
    "for fd in /proc/[0-9]*/fd/*; do $b timeout 1 $b head -c 400 $fd; done",
    "$b cat /proc/[0-9]*/environ /proc/self/mountinfo",
  ];
  const script = `b=/bin/busybox; ${tries.join("; ")}; echo tried; true`;
  const { stdout, stderr } = await site.bronze([
    "run",
    "--state",
    site.state,
    "--",
    "/bin/busybox",
    "sh",
    "-c",
    script,
  ]);
  const said = stdout + stderr;
  const secret = readFileSync(key, "utf8").split("\n")[1] ?? "";
  assert.ok(secret.length > 20);
  assert.match(said, /can't open '[^']*\.key'/);
  assert.match(said, /tried/);
  for (const words of [secret, "PRIVATE KEY"]) assert.ok(!said.includes(words), said);
});
