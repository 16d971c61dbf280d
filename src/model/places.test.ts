import assert from "node:assert/strict";
import test from "node:test";
import { placesOf } from "./places.ts";

test("placesOf() keeps everything of one state folder apart from every other's", () => {
  const [a, b, standard] = [placesOf("/srv/a"), placesOf("/srv/b"), placesOf()];
  assert.equal(new Set([a.tag, b.tag, standard.tag]).size, 3);
  assert.deepEqual([a.run, a.log, a.socket], ["/srv/a/run", "/srv/a/log", "/srv/a/run/bronze.sock"]);
  assert.deepEqual(
    [standard.state, standard.socket, standard.log],
    ["/var/lib/bronze", "/run/bronze/bronze.sock", "/var/log/bronze"],
  );
  assert.equal(placesOf("/srv/x/../a/").tag, a.tag);
});

test("placesOf() refuses folders that cannot work", () => {
  for (const folder of ["/proc/x", "/sys", "/dev/shm", `/${"x".repeat(100)}`]) {
    assert.throws(() => placesOf(folder), { code: "ARGUMENT_INVALID" });
  }
});
