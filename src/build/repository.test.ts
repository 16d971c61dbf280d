import assert from "node:assert/strict";
import { test } from "node:test";
import { ignoredIn, originIn, shareableAddress } from "./repository.ts";

test("`shareableAddress()` leaves out who asks, and folders of this machine", () => {
  for (const [remote, address] of [
    ["https://user:word@git.example/a.git", "https://git.example/a.git"],
    ["https://token@git.example/a.git?x=1#y", "https://git.example/a.git"],
    ["git@git.example:team/a.git", "ssh://git@git.example/team/a.git"],
    ["ssh://git:word@git.example/a.git", "ssh://git@git.example/a.git"],
    ["/srv/git/a.git", null],
    ["../a.git", null],
    ["file:///srv/git/a.git", null],
    ["C:\\a", null],
  ] as const)
    assert.equal(shareableAddress(remote), address, remote);
});

test("`ignoredIn()` tells what is ignored in a folder of the work tree, and null where it cannot", () => {
  assert.deepEqual(ignoredIn("# branch.oid x\n! app/a\n! app/dist/\n! other/b", "app"), ["a", "dist/"]);
  assert.deepEqual(ignoredIn("! a", ""), ["a"]);
  assert.equal(ignoredIn("! app/", "app"), null);
  assert.equal(ignoredIn('! "app/\\303"', "app"), null);
});

test("`originIn()` reads the address of origin and of no other remote", () => {
  const config =
    '[core]\n\tbare = false\n[remote "up"]\n\turl = https://up.example/a\n[remote "origin"]\n\tfetch = +a:b\n\turl = https://git.example/a.git ; comment\n[branch "main"]\n\turl = x\n';
  assert.equal(originIn(config), "https://git.example/a.git");
  assert.equal(originIn('[remote "up"]\nurl = x'), undefined);
  assert.equal(originIn('[Remote "origin"]\nURL = "git@git.example:a.git"'), "git@git.example:a.git");
});
