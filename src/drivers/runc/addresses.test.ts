import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { formatIpv4, parseIpv4, parseSubnet } from "../../linux/routes.ts";
import { chooseSubnet, createAddressPool } from "./addresses.ts";

test("parseIpv4() and formatIpv4() undo each other", () => {
  for (const text of ["0.0.0.0", "10.128.16.1", "255.255.255.255"]) assert.equal(formatIpv4(parseIpv4(text)), text);
});

test("chooseSubnet() gives a /20 of 10.128.0.0/9 that no route touches, the same for the same tag", () => {
  const free = chooseSubnet("0badcafe", []);
  assert.equal(free, chooseSubnet("0badcafe", []));
  assert.match(free ?? "", /^10\.\d+\.\d+\.0\/20$/);
  assert.ok(parseIpv4(free?.split("/")[0] ?? "") >= parseIpv4("10.128.0.0"));
  const next = chooseSubnet("0badcafe", [parseSubnet(`${free?.split("/")[0]}/24`)]);
  assert.notEqual(next, free);
  assert.notEqual(next, undefined);
});

test("chooseSubnet() gives up where a route covers all of it", () => {
  assert.equal(chooseSubnet("0badcafe", [parseSubnet("10.0.0.0/8")]), undefined);
});

test("take() goes round, passes over what is held, and lets an address rest", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bronze-"));
  let nowMs = 0;
  const clock = { now: () => nowMs, wall: () => nowMs, monotonic: () => nowMs, after: () => () => {} };
  try {
    const pool = createAddressPool("10.128.0.0/29", join(folder, "next"), clock);
    assert.equal(pool.gateway, "10.128.0.1");
    assert.equal(await pool.take(new Set(["10.128.0.3"])), "10.128.0.2");
    assert.equal(await pool.take(new Set(["10.128.0.3"])), "10.128.0.4");
    pool.giveBack("10.128.0.2");
    assert.equal(
      await createAddressPool("10.128.0.0/29", join(folder, "next"), clock).take(new Set()),
      "10.128.0.5",
      "a new process goes on where the last one was",
    );
    assert.equal(await pool.take(new Set()), "10.128.0.5");
    assert.equal(await pool.take(new Set()), "10.128.0.6");
    await assert.rejects(pool.take(new Set(["10.128.0.3"])), {
      code: "MACHINE_REFUSED",
      message: "Cannot give an instance an address: none is free in 10.128.0.0/29, 1 are in use",
    });
    nowMs = 60_001;
    assert.equal(await pool.take(new Set(["10.128.0.3"])), "10.128.0.2");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
