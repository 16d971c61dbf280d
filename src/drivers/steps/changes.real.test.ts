import assert from "node:assert/strict";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { writeTar } from "../../image/tar-write.ts";
import { loadAttributes } from "../../linux/attributes.ts";
import { loadSyscalls } from "../../linux/syscalls.ts";
import { unpackBlob } from "../../linux/unpack.ts";
import { layerTar } from "../runc/fixture.suite.ts";
import { createStepBench, describeTree, epoch, names, type StepBench } from "./fixture.suite.ts";

async function within(work: (bench: StepBench) => Promise<void>): Promise<void> {
  const bench = await createStepBench();
  try {
    await work(bench);
  } finally {
    await bench.end();
  }
}

const everyKind = [
  "mkdir -p /new/deep && echo one > /new/deep/file && ln /new/deep/file /new/again && ln -s deep/file /new/link",
  "busybox mkfifo /new/pipe && chmod 4755 /new/deep/file && chown 1000:2000 /new/again && touch -d @5 /new/old",
  "rm /www/index.html /bin/yes && rm -rf /www && mkdir /www && echo page > /www/page",
  "printf 'x' > \"$(printf '/new/n\\377\\nline')\"",
  "busybox nc -l -p 1 -U /new/socket 2>/dev/null; true",
].join(" && ");

test("a step's layer has every kind of change in OCI form, with owners, modes and clamped times", async () => {
  await within(async (bench) => {
    const { layer } = await bench.step(everyKind);
    const members = await bench.members(layer);
    assert.deepEqual(names(members), [
      "bin/",
      "bin/.wh.yes",
      "new/",
      "new/again",
      "new/deep/",
      "new/deep/file=",
      "new/link@",
      "new/n\xff\nline",
      "new/old",
      "new/pipe|",
      "www/",
      "www/.wh..wh..opq",
      "www/page",
    ]);
    const of = (path: string): unknown => {
      const { mode, uid, gid, mtime } = members.find((member) => member.path === path) ?? assert.fail(path);
      return [mode.toString(8), uid, gid, mtime];
    };
    assert.deepEqual(of("new/again"), ["755", 1000, 2000, epoch], "chown takes setuid away");
    assert.deepEqual(of("new/old"), ["644", 0, 0, 5]);
    assert.deepEqual(of("www"), ["755", 0, 0, epoch]);
    assert.deepEqual(of("bin"), ["755", 0, 0, epoch]);
    assert.equal(members.find(({ path }) => path === "new/deep/file")?.target, "new/again");
  });
});

test("equal steps give equal layers, in another cache, at another time, over other inodes", async () => {
  const digests = new Set<string>();
  for (let round = 0; round < 2; round += 1)
    await within(async (bench) => {
      if (round === 1) await bench.step("mkdir /filler && touch /filler/a /filler/b");
      digests.add((await bench.step(everyKind)).layer?.diffId ?? "none");
    });
  assert.equal(digests.size, 1, [...digests].join(" "));
});

/** A file with a capability and an attribute of its owner's. */
function capableLayer(): Buffer {
  return Buffer.concat([
    ...writeTar([
      {
        entry: {
          path: "tool",
          kind: "file",
          mode: 0o755,
          uid: 0,
          gid: 0,
          mtime: 7,
          size: 1,
          target: "",
          attributes: {
            "security.capability": "\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "user.note": "a=b\n",
          },
        },
        content: () => [Buffer.from("#")],
      },
    ]),
  ]);
}

test("what a step wrote becomes the unpacked layer, the same as one unpacked from its blob", async () => {
  await within(async (bench) => {
    const capable = await bench.put(capableLayer());
    const layers = [bench.base, capable];
    const { layer } = await bench.step(`${everyKind} && mkdir /tools && mv /tool /tools/tool`, { layers });
    assert.ok(layer !== null);
    const moved = (await bench.members(layer)).find(({ path }) => path === "tools/tool");
    assert.equal(Object.keys(moved?.attributes ?? {}).length, 2, "capabilities and user attributes are in the layer");
    const [tree, scratch] = [join(bench.folder, "tree"), join(bench.folder, "scratch")];
    for (const folder of [tree, scratch]) mkdirSync(folder);
    const blob = { blob: layer.descriptor.digest, diffId: layer.diffId };
    await unpackBlob(bench.store, blob, { tree, scratch, syscalls: loadSyscalls() });
    assert.deepEqual(describeTree(bench.tree(layer)), describeTree(tree));
    // A later step sees the same whichever of the two it gets.
    const look =
      "find /tools /new /www | busybox sort | busybox md5sum; cat /new/again /www/page; ls /bin/yes 2>&1; true";
    const before = await bench.step(look, { layers: [...layers, layer] });
    rmSync(join(bench.cache, "layers"), { recursive: true });
    const after = await bench.step(look, { layers: [...layers, layer] });
    assert.equal(after.output, before.output);
    assert.match(after.output, /one\npage\n/);
  });
});

test("what is as it was before is no change, whatever was done to it", async () => {
  await within(async (bench) => {
    const nothing = [
      "true",
      "touch /www/index.html /www",
      "chmod 600 /www/index.html && chmod 644 /www/index.html",
      "cat /www/index.html > /www/copy && mv /www/copy /www/index.html",
      "echo hello > /www/index.html",
      "mkdir /made && rmdir /made && touch /gone && rm /gone",
    ];
    for (const script of nothing) assert.deepEqual((await bench.step(script)).layer, null, script);
    const chosen = await bench.step("touch -d @5 /www/index.html");
    assert.deepEqual(
      names(await bench.members(chosen.layer)),
      ["www/", "www/index.html"],
      "a time of the past is chosen",
    );
  });
});

test("a folder that replaces one is opaque; where there was none it is not, whatever it is put on later", async () => {
  await within(async (bench) => {
    const { layer } = await bench.step("mkdir /data && echo mine > /data/mine");
    assert.ok(layer !== null);
    assert.deepEqual(names(await bench.members(layer)), ["data/", "data/mine"]);
    const other = await bench.put(
      layerTar((root) => cpSync("/etc/hostname", join(root, "data/theirs"), { recursive: true })),
    );
    const both = await bench.step("ls /data", { layers: [bench.base, other, layer] });
    assert.equal(both.output, "mine\ntheirs\n");
  });
});

test("what differs from run to run is not in the layer; package lists stay for later steps only", async () => {
  await within(async (bench) => {
    const leave = [
      "mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives /var/log/apt /app/__pycache__ /root/.npm/_cacache/tmp /etc /tmp",
      "echo list > /var/lib/apt/lists/archive_Packages && echo bin > /var/cache/apt/pkgcache.bin && touch /var/lib/apt/lists/lock",
      "echo log > /var/log/apt/history.log && echo log > /var/log/dpkg.log && echo 1 > /etc/machine-id",
      "echo pyc > /app/__pycache__/a.pyc && echo json > /root/.npm/_cacache/tmp/x && echo keep > /tmp/kept",
    ].join(" && ");
    const { layer, aside } = await bench.step(leave);
    assert.ok(layer !== null && aside !== null);
    assert.equal(aside.aside, true);
    const paths = names(await bench.members(layer));
    assert.ok(paths.includes("tmp/kept") && paths.includes("etc/machine-id"), paths.join(" "));
    assert.equal(await bench.bytes(layer, "etc/machine-id"), "");
    for (const path of paths) assert.doesNotMatch(path, /Packages|pkgcache|\.log$|pyc|_cacache/);
    const layers = [bench.base, layer, aside];
    const next = await bench.step(
      "cat /var/lib/apt/lists/archive_Packages && rm -rf /var/lib/apt/lists/* && echo y > /y",
      { layers },
    );
    assert.equal(next.output, "list\n");
    assert.deepEqual(names(await bench.members(next.layer)), ["y"], "what no image has need not be hidden in one");
    assert.ok(next.layer !== null && next.aside !== null);
    const last = await bench.step("ls /var/lib/apt/lists", { layers: [...layers, next.layer, next.aside] });
    assert.equal(last.output, "");
  });
});

test("devices, and names that layers give another meaning, are refused", async () => {
  await within(async (bench) => {
    for (const script of ["busybox mknod /null c 1 3", "touch /www/.wh.index.html"]) {
      await assert.rejects(
        bench.step(script),
        { code: "BUILD_FAILED", message: /Cannot make a layer of the step/ },
        script,
      );
    }
  });
});

test("a Node without foreign functions makes the same layers", async () => {
  const digests = new Set<string>();
  for (const way of ["best", "perl"] as const) {
    const bench = await createStepBench(undefined, { way });
    try {
      const first = await bench.step(everyKind);
      assert.ok(first.layer !== null);
      const next = await bench.step("rm -rf /new && mkdir /new && echo > /new/a && chmod 700 /www", {
        layers: [bench.base, first.layer],
      });
      digests.add(`${first.layer.diffId} ${next.layer?.diffId}`);
    } finally {
      await bench.end();
    }
  }
  assert.equal(digests.size, 1, [...digests].join("\n"));
});

test("loadAttributes() reads the same with and without foreign functions", async () => {
  await within(async (bench) => {
    await bench.step("true");
    const paths = ["bin", "bin/busybox", "nothing"].map((name) => Buffer.from(join(bench.tree(bench.base), name)));
    const capable = await bench.put(capableLayer());
    await bench.step("true", { layers: [bench.base, capable] });
    const tree = Buffer.from(bench.tree(capable));
    const [best, perl] = [loadAttributes(), loadAttributes("perl")];
    assert.deepEqual(perl.read([tree, ...paths]), best.read([tree, ...paths]));
    assert.deepEqual(perl.below(tree), best.below(tree));
    assert.deepEqual([...best.below(tree).keys()], [`${tree.toString()}/tool`]);
    const tool = Buffer.from(`${tree.toString()}/tool`);
    perl.remove([tool], "user.note");
    assert.deepEqual([...(best.read([tool])[0] ?? [])].length, 1);
  });
});
