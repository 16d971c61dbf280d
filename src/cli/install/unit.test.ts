import assert from "node:assert/strict";
import test from "node:test";
import { placesOf } from "../../model/places.ts";
import { renderUnit, unitName } from "./unit.ts";

test("unitName() is bronze.service for the usual state folder and carries a hash of any other", () => {
  assert.equal(unitName(placesOf()), "bronze.service");
  assert.match(unitName(placesOf("/srv/other")), /^bronze-[0-9a-f]{8}\.service$/);
});

test("renderUnit() starts node and the daemon by their paths, with nothing of them taken for systemd's own signs", () => {
  const unit = renderUnit({ node: "/opt/node", daemon: "/a b/daemon.js", state: '/var/$x %n/"q"' });
  const line = unit.split("\n").find((one) => one.startsWith("ExecStart="));
  assert.equal(
    line,
    'ExecStart=/opt/node --disable-warning=ExperimentalWarning --max-semi-space-size=4 "/a b/daemon.js" --state "/var/$$x %%n/\\"q\\""',
  );
  assert.match(unit, /^RequiresMountsFor="\/var\/\$x %%n\/\\"q\\""$/m);
});

test("renderUnit() leaves what the daemon started running, and starts it again after a crash", () => {
  const unit = renderUnit({ node: "/opt/node", daemon: "/d.js", state: "/s" });
  for (const line of [
    "KillMode=process",
    "Restart=on-failure",
    "StartLimitIntervalSec=0",
    "WantedBy=multi-user.target",
  ])
    assert.ok(unit.split("\n").includes(line), line);
});
