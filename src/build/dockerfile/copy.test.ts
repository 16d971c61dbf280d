import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { sha256 } from "../../model/canonical.ts";
import { createWorkshop, fillProject } from "./build.suite.ts";

const shop = createWorkshop();
before(() => fillProject(shop));
after(() => shop.remove());

/** Folders, files and symlinks to copy onto. The same Dockerfiles were built by BuildKit, and gave the same files. */
const base = [
  "FROM scratch AS bb",
  "COPY <<A /etc/passwd",
  "web:x:10:20::/:/bin/sh",
  "A",
  "COPY <<A /etc/group",
  "staff:x:50:",
  "A",
  "COPY <<A /usr/bin/old",
  "old",
  "A",
  "COPY links /",
  "FROM bb",
  "",
].join("\n");
/** What every one of them has. */
const common = 9;

before(() => {
  mkdirSync(join(shop.project, "links"));
  execFileSync("ln", ["-s", "usr/bin", join(shop.project, "links/b2")]);
  execFileSync("ln", ["-s", "/usr/x", join(shop.project, "links/dangling")]);
  execFileSync("ln", ["-s", "etc/group", join(shop.project, "links/flink")]);
});

const cases: readonly (readonly [instructions: string, files: readonly string[]])[] = [
  ["COPY src/a.txt /x", ["x file 644 0:0 a"]],
  ["COPY src/a.txt /y/", ["y directory 755 0:0", "y/a.txt file 644 0:0 a"]],
  ["COPY two /n", ["n directory 755 0:0", "n/x directory 755 0:0", "n/x/d.txt file 644 0:0 d"]],
  [
    "COPY --chown=web:staff two /c/d",
    ["c directory 755 10:50", "c/d directory 755 10:50", "c/d/x directory 755 10:50", "c/d/x/d.txt file 644 10:50 d"],
  ],
  ["COPY --chown=web run.sh /i/", ["i directory 755 10:20", "i/run.sh file 755 10:20 #!/bin/sh"]],
  ["COPY --chown=7 run.sh /", ["run.sh file 755 7:7 #!/bin/sh"]],
  ["COPY --chmod=600 two /c", ["c directory 755 0:0", "c/x directory 600 0:0", "c/x/d.txt file 600 0:0 d"]],
  [
    "COPY --chmod=u+s,g-r,o=X two run.sh /c/",
    ["c directory 755 0:0", "c/run.sh file 4711 0:0 #!/bin/sh", "c/x directory 4711 0:0", "c/x/d.txt file 4600 0:0 d"],
  ],
  ["COPY src/a.txt /flink", ["etc/group file 644 0:0 a"]],
  ["COPY src/a.txt /dangling", ["usr/x file 644 0:0 a"]],
  ["COPY run.sh /b2", ["usr/bin/run.sh file 755 0:0 #!/bin/sh"]],
  ["COPY two /b2", ["usr/bin/x directory 755 0:0", "usr/bin/x/d.txt file 644 0:0 d"]],
  ["COPY --chown=5 etc/ /etc", ["etc/in directory 755 5:5", "etc/in/f file 644 5:5 etc/in/f"]],
  ["COPY src/a.txt run.sh /usr/bin", ["usr/bin/a.txt file 644 0:0 a", "usr/bin/run.sh file 755 0:0 #!/bin/sh"]],
  ["COPY s?c/[ab]*.txt /g/", ["g directory 755 0:0", "g/a.txt file 644 0:0 a"]],
  ["COPY **/c.txt /g/", ["g directory 755 0:0", "g/c.txt file 644 0:0 c"]],
  ["COPY nothing* run.sh /g/", ["g directory 755 0:0", "g/run.sh file 755 0:0 #!/bin/sh"]],
  ["COPY link /l1", ["l1 file 644 0:0 a"]],
  ["COPY lin[k] /l2/", ["l2 directory 755 0:0", "l2/link file 644 0:0 a"]],
  ["COPY dlink/sub/deep /l3", ["l3 directory 755 0:0", "l3/c.txt file 644 0:0 c"]],
  [
    "COPY src/sub /s",
    [
      "s directory 755 0:0",
      "s/b.md file 644 0:0 b",
      "s/deep directory 755 0:0",
      "s/deep/c.txt file 644 0:0 c",
      "s/up symlink 777 0:0 ../a.txt",
    ],
  ],
  ['COPY ["e f.txt", "/d w/"]', ["d w directory 755 0:0", "d w/e f.txt file 644 0:0 space"]],
  ["WORKDIR /w/k\nCOPY src/a.txt ../q", ["w directory 755 0:0", "w/k directory 755 0:0", "w/q file 644 0:0 a"]],
  [
    "USER web\nWORKDIR /w/k\nCOPY src/a.txt .",
    ["w directory 755 10:20", "w/k directory 755 10:20", "w/k/a.txt file 644 0:0 a"],
  ],
  ["COPY empty /em", ["em directory 755 0:0"]],
  ["COPY /src/../run.sh /r", ["r file 755 0:0 #!/bin/sh"]],
  ["COPY --exclude=*.md --exclude=deep src/sub /s", ["s directory 755 0:0", "s/up symlink 777 0:0 ../a.txt"]],
  [
    "COPY --parents src/sub/./deep/c.txt run.sh /p",
    [
      "p directory 755 0:0",
      "p/deep directory 755 0:0",
      "p/deep/c.txt file 644 0:0 c",
      "p/run.sh file 755 0:0 #!/bin/sh",
    ],
  ],
  [
    "COPY --parents **/*.txt /p/",
    [
      "p directory 755 0:0",
      "p/e f.txt file 644 0:0 space",
      "p/src directory 755 0:0",
      "p/src/a.txt file 644 0:0 a",
      "p/src/hard.txt file 644 0:0 a",
      "p/src/sub directory 755 0:0",
      "p/src/sub/deep directory 755 0:0",
      "p/src/sub/deep/c.txt file 644 0:0 c",
      "p/two directory 755 0:0",
      "p/two/x directory 755 0:0",
      "p/two/x/d.txt file 644 0:0 d",
    ],
  ],
  ["COPY --link run.sh /b3/", ["b3 directory 755 0:0", "b3/run.sh file 755 0:0 #!/bin/sh"]],
  [
    "ENV V=val\nCOPY <<A <<'B' <<-C /h/\n\"$V\" \\$V\nA\n$V\nB\n\t\ttab\nC",
    ["h directory 755 0:0", 'h/A file 644 0:0 "val" $V', "h/B file 644 0:0 $V", "h/C file 644 0:0 tab"],
  ],
  ["ADD t.tar.gz /t", ["t directory 755 0:0", "t/x directory 755 7:8", "t/x/d.txt file 644 7:8 d"]],
  ["ADD t.tar.xz /t", ["t directory 755 0:0", "t/x directory 755 7:8", "t/x/d.txt file 644 7:8 d"]],
  ["ADD t.tar.bz2 /t", ["t directory 755 0:0", "t/x directory 755 7:8", "t/x/d.txt file 644 7:8 d"]],
  ["ADD --chown=web t.tar.z* /t", ["t directory 755 10:20", "t/x directory 755 10:20", "t/x/d.txt file 644 10:20 d"]],
  ["ADD run.sh /t/", ["t directory 755 0:0", "t/run.sh file 755 0:0 #!/bin/sh"]],
];

before(() => shop.write("etc/in/f"));

for (const [instructions, files] of cases) {
  test(`a build of ${JSON.stringify(instructions)} has the files that BuildKit's has`, async () => {
    const before = await shop.files(await shop.build(base.replace(/FROM bb\n$/, "")));
    const found = await shop.files(await shop.build(`${base}${instructions}\n`));
    assert.equal(before.length, common);
    assert.deepEqual(
      found.filter((row) => !before.includes(row)),
      files,
    );
  });
}

const refusals: readonly (readonly [instructions: string, words: RegExp])[] = [
  ["COPY nothing /x", /Cannot copy "nothing": nothing is there \(Dockerfile, line 13\)/],
  ["COPY ../x /x", /outside the project/],
  ["COPY src/a.txt run.sh /nodir", /line 13: several files need a folder: write \/nodir\//],
  ["COPY --chown=nobody1 run.sh /x", /line 13: the image does not know the user or group "nobody1"/],
  ["COPY --chmod=999 run.sh /x", /line 13: --chmod=999 is no mode/],
  ["COPY run.sh $NONE", /line 13: the target of COPY is empty/],
  ["COPY whiteout /x/", /names with \.wh\. take files away there/],
  ["COPY onto /", /Cannot put a file at "\/usr\/bin" in the image: a folder is there/],
  ["ADD git@github.com:a/b.git /x", /line 13: ADD of the git repository "git@github.com:a\/b.git" is not supported/],
  ["COPY https://x.example/y /x", /line 13: COPY cannot fetch/],
  ["ADD --checksum=sha256:1 https://x.example/y /x", /line 13: --checksum=sha256:1 is not sha256/],
  ["ADD up.tar /x", /Cannot unpack "up.tar": it holds the path "\.\.\/up"/],
  ["ADD cut.tar.gz /x", /Cannot unpack "cut.tar.gz"/],
  ["ADD device.tar /x", /Cannot unpack "device.tar": "null" is a device node/],
];

before(() => {
  const { project, write } = shop;
  write("whiteout/.wh.etc");
  write("onto/usr/bin");
  write("up");
  execFileSync("tar", ["-cPf", join(project, "up.tar"), "-C", join(project, "src"), "../up"]);
  writeFileSync(join(project, "cut.tar.gz"), execFileSync("tar", ["-cz", "-C", project, "src"]).subarray(0, 150));
  execFileSync("tar", ["-cf", join(project, "device.tar"), "-C", "/dev", "null"]);
});

for (const [instructions, words] of refusals) {
  test(`a build refuses ${JSON.stringify(instructions)}`, async () => {
    await assert.rejects(
      shop.build(`${base}${instructions}\n`),
      (error) => error instanceof OperatorError && words.test(error.message) && error.exitStatus !== 1,
    );
  });
}

test("COPY --from keeps owners, modes, times and links, and sees what later layers took away", async () => {
  shop.write("tree/o/f", "f");
  execFileSync("tar", [
    "-cf",
    join(shop.project, "o.tar"),
    "-C",
    join(shop.project, "tree"),
    "--owner=5",
    "--group=6",
    "--mode=4711",
    "--mtime=@1000",
    "o",
  ]);
  const built = await shop.build(
    `${base.replace(/FROM bb\n$/, "")}ADD o.tar /\nADD o.tar /more\nFROM scratch\nCOPY --from=bb /o/f /more/o/ /x/\nCOPY --from=0 --chown=1:2 --chmod=640 /flink /y\n`,
  );
  assert.deepEqual(await shop.files(built), [
    "x directory 755 0:0",
    "x/f file 4711 5:6 f",
    "y file 640 1:2 staff:x:50:",
  ]);
});

test("ADD fetches an address once, follows redirects, and believes only what --checksum says", async () => {
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    if (request.url === "/moved/f.txt") response.writeHead(302, { location: "/f.txt" }).end();
    else if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
    else if (request.url === "/out") response.writeHead(302, { location: "file:///etc/passwd" }).end();
    else if (request.url === "/cut")
      response.writeHead(200, { "content-length": "9" }).write("x", () => response.destroy());
    else if (request.url === "/f.txt") response.end("fetched");
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const good = await shop.build(`FROM scratch\nADD ${address}/moved/f.txt /d/\n`);
    assert.deepEqual(await shop.files(good), ["d directory 755 0:0", "d/f.txt file 600 0:0 fetched"]);
    assert.ok(
      shop.events.some((event) => event.kind === "note" && event.text.includes(`--checksum=${sha256("fetched")}`)),
    );
    await shop.build(`FROM scratch\nADD ${address}/moved/f.txt /d/\n`);
    assert.equal(asked, 2);
    await shop.build(`FROM scratch\nADD --checksum=${sha256("fetched")} ${address}/gone/f.txt /d/\n`);
    assert.equal(asked, 2);
    await assert.rejects(
      shop.build(`FROM scratch\nADD --checksum=${sha256("other")} ${address}/f.txt /d/\n`),
      (error) =>
        error instanceof OperatorError && error.code === "VERIFICATION_FAILED" && error.message.includes("line 2"),
    );
    for (const [path, reason] of [
      ["none", /answers 404/],
      ["loop", /moved on more than 10 times/],
      ["out", /moved to file:/],
      ["cut", /aborted|broke|hang up/],
    ] as const)
      await assert.rejects(
        shop.build(`FROM scratch\nADD ${address}/${path} /d/\n`),
        (error) => error instanceof OperatorError && error.code === "BUILD_FAILED" && reason.test(String(error.cause)),
        path,
      );
  } finally {
    server.close();
  }
});

test("a file beside the Dockerfile takes the place of .dockerignore, and both keep files from COPY", async () => {
  shop.write(".dockerignore", "src/sub\n");
  assert.deepEqual(await shop.files(await shop.build("FROM scratch\nCOPY src /\n")), [
    "a.txt file 644 0:0 a",
    "hard.txt file 644 0:0 a",
  ]);
  shop.write("Dockerfile.dockerignore", "src\n!src/sub/b.md\n");
  assert.deepEqual(await shop.files(await shop.build("FROM scratch\nCOPY src /\n")), [
    "sub directory 755 0:0",
    "sub/b.md file 644 0:0 b",
  ]);
  shop.write(".git/HEAD", "main");
  shop.write("Dockerfile.dockerignore", "*\n!run.sh\n");
  const rows = async (): Promise<readonly string[]> => shop.files(await shop.build("FROM scratch\nCOPY . /\n"));
  assert.deepEqual(await rows(), ["run.sh file 755 0:0 #!/bin/sh"]);
  shop.write("Dockerfile.dockerignore", "*\n!run.sh\n!.git\n");
  assert.deepEqual(await rows(), [
    ".git directory 755 0:0",
    ".git/HEAD file 644 0:0 main",
    "run.sh file 755 0:0 #!/bin/sh",
  ]);
  for (const name of [".dockerignore", "Dockerfile.dockerignore"]) rmSync(join(shop.project, name));
});

test("COPY --from reads an image whose layers are compressed, and is found again without reading it", async () => {
  for (const compress of ["gzip", "zstd"] as const) {
    await shop.build(
      "FROM scratch\nCOPY src/sub/deep /deep\nCOPY --chown=3:4 run.sh /\n",
      { tagAs: `packed-${compress}:1` },
      { compress },
    );
    const file = `FROM scratch\nCOPY --from=packed-${compress}:1 / /all/\nCOPY --from=packed-${compress}:1 /run.sh /one\n`;
    const built = await shop.build(file);
    assert.deepEqual(await shop.files(built), [
      "all directory 755 0:0",
      "all/deep directory 755 0:0",
      "all/deep/c.txt file 644 0:0 c",
      "all/run.sh file 755 3:4 #!/bin/sh",
      "one file 755 3:4 #!/bin/sh",
    ]);
    shop.events.length = 0;
    assert.equal((await shop.build(file)).digest, built.digest);
    assert.ok(shop.events.every((event) => event.kind !== "ended" || event.how === "cached"));
  }
});

test("names that are no UTF-8 or hold a newline are copied from stage to stage as they are", async () => {
  const odd = Buffer.concat([Buffer.from(`${shop.project}/odd/`), Buffer.from([0xff, 0x0a, 0xfe])]);
  mkdirSync(join(shop.project, "odd"));
  writeFileSync(odd, "odd");
  const built = await shop.build("FROM scratch AS a\nCOPY odd /o\nFROM scratch\nCOPY --from=a /o/* /p/\n");
  assert.deepEqual(await shop.files(built), ["p directory 755 0:0", "p/\ufffd\n\ufffd file 644 0:0 odd"]);
});
