import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import type { BuildOptions } from "../options.ts";
import { createWorkshop, fillProject, type Workshop } from "./build.suite.ts";
import { createMemorySteps, type MemorySteps } from "./memory-steps.suite.ts";

const shops: Workshop[] = [];
afterEach(() => shops.splice(0).forEach((shop) => shop.remove()));

function newShop(): { readonly shop: Workshop; readonly steps: MemorySteps } {
  const steps = createMemorySteps();
  const shop = createWorkshop(() => Promise.resolve(steps));
  shops.push(shop);
  return { shop, steps };
}

const args = (values: Record<string, string>): Partial<BuildOptions> => ({
  buildArgs: new Map(Object.entries(values)),
});

test("RUN gets its stage's variables, folder, user and shell, and its layers in order", async () => {
  const { shop, steps } = newShop();
  await shop.build(
    [
      "ARG V=1",
      "FROM scratch AS base",
      "ARG V",
      "ENV A=a$V",
      "RUN put /one 1",
      'SHELL ["/bin/bash", "-c"]',
      "WORKDIR /w",
      "USER 7:8",
      "RUN --network=none put /w/two 2",
      'RUN ["/bin/x", "$A"]',
      "FROM base",
      "RUN put /three $A",
    ].join("\n"),
    args({ V: "9", HTTP_PROXY: "http://user:pass@proxy" }),
  );
  const [one, two, exec, three] = steps.requests;
  assert.deepEqual(one?.command, ["/bin/sh", "-c", "put /one 1"]);
  assert.deepEqual(one.env.slice(1), ["V=9", "A=a9", "HTTP_PROXY=http://user:pass@proxy"]);
  assert.deepEqual([one.workdir, one.user, one.network, one.layers.length], ["/", "", "egress", 0]);
  assert.deepEqual(two?.command, ["/bin/bash", "-c", "put /w/two 2"]);
  // The layer of the first RUN, and the folder that WORKDIR wants.
  assert.deepEqual([two.workdir, two.user, two.network, two.layers.length], ["/w", "7:8", "none", 2]);
  assert.deepEqual(exec?.command, ["/bin/x", "$A"]);
  assert.deepEqual([three?.command.at(-1), three?.layers.length], ["put /three $A", 3]);
});

test("RUN is done once for the same inputs, whatever proxies and secrets are, and again for others", async () => {
  const { shop, steps } = newShop();
  const file = "FROM scratch\nARG V=1\nRUN --mount=type=secret,id=s,env=S put /f $V\n";
  const secrets = (value: string): Partial<BuildOptions> => ({ secrets: [{ id: "s", value: Buffer.from(value) }] });
  const first = await shop.build(file, secrets("first secret"));
  const second = await shop.build(file, { ...secrets("other secret"), ...args({ HTTP_PROXY: "http://p" }) });
  assert.equal(steps.requests.length, 1);
  assert.deepEqual(steps.requests[0]?.secretEnv, ["S=first secret"]);
  assert.equal(second.digest, first.digest);
  assert.deepEqual((await shop.image(second)).history.at(-1)?.created_by, "RUN |1 V=1 /bin/sh -c put /f $V # buildkit");
  await shop.build(file, args({ V: "2" }));
  await shop.build(file, { noCache: true });
  assert.equal(steps.requests.length, 3);
});

test("what a step sets aside is seen by the steps after it and is in no image", async () => {
  const { shop, steps } = newShop();
  const built = await shop.build(
    "FROM scratch AS a\nRUN put /f 1 && aside /lists 2\nRUN aside /more 3\nFROM a\nRUN put /g 4\nFROM scratch\nCOPY --from=1 / /\n",
  );
  assert.deepEqual(
    steps.requests.map(({ layers }) => layers.length),
    [0, 2, 3],
  );
  assert.deepEqual(await shop.files(built), ["f file 644 0:0 1", "g file 644 0:0 4"]);
});

test("mounts come with their defaults, paths from the working directory, and only what .dockerignore lets in", async () => {
  const { shop, steps } = newShop();
  fillProject(shop);
  shop.write(".dockerignore", "src/sub\n");
  await shop.build(
    [
      "FROM scratch AS other",
      "RUN put /o/f 1",
      "FROM scratch",
      "WORKDIR /w",
      "ENV T=/t",
      "RUN --mount=type=cache,target=c --mount=type=cache,id=k,target=/k,sharing=locked,mode=700,uid=1,gid=2,ro --mount=type=tmpfs,target=$T,size=2m --mount=type=secret,id=dir/key --mount=type=secret,id=gone,env=G --mount=source=src,target=/src --mount=from=other,src=o,dst=o,rw x",
    ].join("\n"),
    { secrets: [{ id: "dir/key", value: Buffer.from("a secret value") }] },
  );
  const mounts = steps.requests.at(-1)?.mounts ?? [];
  assert.deepEqual(
    mounts.map((mount) =>
      mount.kind === "bind" ? { ...mount, from: "layers" in mount.from && mount.from.path } : mount,
    ),
    [
      { kind: "cache", target: "/w/c", id: "/w/c", sharing: "shared", mode: 0o755, uid: 0, gid: 0, writable: true },
      { kind: "cache", target: "/k", id: "k", sharing: "locked", mode: 0o700, uid: 1, gid: 2, writable: false },
      { kind: "tmpfs", target: "/t", bytes: 2 * 2 ** 20 },
      { kind: "secret", target: "/run/secrets/key", value: Buffer.from("a secret value"), mode: 0o400, uid: 0, gid: 0 },
      { kind: "bind", target: "/src", from: "/source", writable: false },
      { kind: "bind", target: "/w/o", from: "/o", writable: true },
    ],
  );
  // A change of what is ignored is none; one of what is bound is.
  shop.write("src/sub/b.md", "other");
  await shop.build("FROM scratch\nRUN --mount=source=src,target=/src x\nRUN put /f 1\n");
  shop.write("src/sub/b.md", "again");
  const before = steps.requests.length;
  await shop.build("FROM scratch\nRUN --mount=source=src,target=/src x\nRUN put /f 1\n");
  assert.equal(steps.requests.length, before);
  shop.write("src/a.txt", "changed");
  await shop.build("FROM scratch\nRUN --mount=source=src,target=/src x\nRUN put /f 1\n");
  assert.equal(steps.requests.length, before + 1);
});

test("a mount may be put over the working directory, and over nothing that is the root", async () => {
  const { shop, steps } = newShop();
  fillProject(shop);
  await shop.build(
    "FROM scratch\nWORKDIR /src\nRUN --mount=target=. --mount=ro --mount=target=./two,source=two put /f 1\n",
  );
  assert.deepEqual(
    steps.requests[0]?.mounts.map(({ target }) => target),
    ["/src", "/src", "/src/two"],
  );
  for (const file of ["RUN --mount=target=. x", "WORKDIR /a\nRUN --mount=target=.. x", "RUN --mount=target=/./ x"])
    await assert.rejects(
      shop.build(`FROM scratch\n${file}\n`),
      (error) => error instanceof OperatorError && /is no target for a mount/.test(error.message),
      file,
    );
});

test("a required secret that was not given is refused by line, and nothing is run", async () => {
  const { shop, steps } = newShop();
  await assert.rejects(
    shop.build("FROM scratch\nRUN put /f 1\nRUN --mount=type=secret,id=token,required x\n"),
    (error) =>
      error instanceof OperatorError &&
      /secret "token".*line 3/.test(error.message) &&
      error.hint.includes("--secret id=token"),
  );
  assert.equal(steps.requests.length, 0);
});

test("a here-document of RUN is a script, goes to the shell with its line, or is a program of its own", async () => {
  const { shop, steps } = newShop();
  await shop.build(
    "FROM scratch\nRUN <<-A\n\tx $V\n\ty\nA\nRUN cat <<A >f && g\n$V\nA\nRUN <<A\n#!/usr/bin/perl\nprint 1\nA\nRUN put /f 1\n",
  );
  assert.deepEqual(
    steps.requests.map(({ command }) => command.at(-1)),
    ["x $V\ny\n", "cat <<A >f && g\n$V\nA", "/dev/pipes/A", "put /f 1"],
  );
  assert.deepEqual(
    steps.requests[2]?.mounts.map(({ kind, target }) => [kind, target]),
    [["bind", "/dev/pipes"]],
  );
});

test("stages that do not need each other run beside each other, and those that nobody needs do not run", async () => {
  const { shop, steps } = newShop();
  await shop.build(
    "FROM scratch AS a\nRUN put /a 1\nFROM scratch AS b\nRUN put /b 2\nFROM scratch AS c\nRUN fail 1\nFROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n",
  );
  assert.deepEqual([steps.requests.length, steps.most()], [2, 2]);
  const names = shop.events.flatMap((event) => (event.kind === "started" ? [event.step] : []));
  assert.deepEqual(names.sort(), ["2/2 of a", "2/2 of b", "2/3 of stage 3", "3/3 of stage 3"]);
});

test("the first step that fails ends the others, names itself and its line, and its image is not there", async () => {
  const { shop } = newShop();
  await assert.rejects(
    shop.build(
      "FROM scratch AS a\nRUN wait\nFROM scratch AS b\nRUN print why && fail 3\nFROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n",
    ),
    (error) =>
      error instanceof OperatorError &&
      error.code === "BUILD_FAILED" &&
      error.message.endsWith("it ended with 3 (Dockerfile, line 4)") &&
      (error.details as { status: number }).status === 3,
  );
  const ended = shop.events.flatMap((event) => (event.kind === "ended" ? [`${event.step} ${event.how}`] : []));
  assert.ok(ended.includes("2/2 of b failed"));
  assert.ok(ended.every((text) => /(failed|stopped)$/.test(text)));
  assert.deepEqual(await shop.store.tags(), []);
});

test("triggers of a base are carried out right after FROM, in order and once, and may copy from the project", async () => {
  const { shop, steps } = newShop();
  shop.write("app.js");
  await shop.build(
    "FROM scratch\nRUN put /b 1\nONBUILD COPY app.js /app/\nONBUILD RUN <<A\nput /t 2\nA\nONBUILD ENV T=$V\nENV V=v\n",
    {
      tagAs: "trigger:1",
    },
  );
  const { digest } = await shop.build("FROM trigger:1 AS x\nRUN put /mine $T\nFROM x\nCMD y\n");
  assert.deepEqual(
    steps.requests.map(({ command }) => command.at(-1)),
    ["put /b 1", "put /t 2\n", "put /mine $T"],
  );
  const built = { digest } as Parameters<Workshop["image"]>[0];
  const { config } = await shop.image(built);
  assert.deepEqual([config.OnBuild, config.Env?.includes("T=v")], [undefined, true]);
  assert.deepEqual((await shop.files(built)).filter((row) => row.includes("file")).length, 4);
});

test("a trigger that copies from the very stage it begins is refused by the line of FROM", async () => {
  const { shop } = newShop();
  await shop.build("FROM scratch\nRUN put /b 1\nONBUILD COPY --from=next / /\n", { tagAs: "loop:1" });
  for (const file of ["FROM loop:1 AS next\nRUN x\n", "FROM loop:1 AS one\nRUN x\nFROM one AS next\n"])
    await assert.rejects(
      shop.build(file),
      (error) => error instanceof OperatorError && error.code === "DEFINITION_INVALID" && /line 1/.test(error.message),
      file,
    );
});

test("an argument that no ARG takes is a warning, a proxy none", async () => {
  const { shop } = newShop();
  const built = await shop.build("FROM scratch\nARG A\nRUN put /f 1\n", args({ A: "1", B: "2", http_proxy: "3" }));
  assert.deepEqual(
    built.warnings.filter((warning) => warning.includes("ARG")),
    ["no ARG of Dockerfile takes B"],
  );
});

test("a target ends the build where it says, and every other image is left out", async () => {
  const { shop, steps } = newShop();
  const file = "FROM scratch AS first\nRUN put /f 1\nFROM absent:1\nRUN put /g 2\n";
  assert.deepEqual(await shop.files(await shop.build(file, { target: "first" })), ["f file 644 0:0 1"]);
  assert.equal(steps.requests.length, 1);
  await assert.rejects(
    shop.build(file),
    (error) => error instanceof OperatorError && error.code === "NOT_FOUND" && /absent:1.*line 3/.test(error.message),
  );
});

test("the image says what the file says, with history as BuildKit writes it", async () => {
  const { shop } = newShop();
  const built = await shop.build(
    [
      "FROM scratch",
      "RUN put /f 1",
      "EXPOSE 80 8000-8001/udp",
      'VOLUME ["/data", "/x y"]',
      'SHELL ["/bin/x", "-e"]',
      "CMD run $A",
      'ENTRYPOINT ["/e", "a b"]',
      "STOPSIGNAL 9",
      "MAINTAINER me <a@b.c>",
      "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=45s --retries=2 CMD wget -qO- http://localhost:$PORT/up || exit 1",
      'LABEL a=1 "b c"="d e"',
      "USER web",
    ].join("\n"),
  );
  const { config, author, history } = await shop.image(built);
  assert.deepEqual(config.ExposedPorts, { "80/tcp": {}, "8000/udp": {}, "8001/udp": {} });
  assert.deepEqual(config.Volumes, { "/data": {}, "/x y": {} });
  assert.deepEqual(
    [config.Shell, config.Cmd, config.Entrypoint],
    [
      ["/bin/x", "-e"],
      ["/bin/x", "-e", "run $A"],
      ["/e", "a b"],
    ],
  );
  assert.deepEqual(
    [config.StopSignal, config.User, config.Labels, author],
    ["9", "web", { a: "1", "b c": "d e" }, "me <a@b.c>"],
  );
  assert.deepEqual(config.Healthcheck, {
    Test: ["CMD-SHELL", "wget -qO- http://localhost:$PORT/up || exit 1"],
    Interval: 5e9,
    Timeout: 90e9,
    StartPeriod: 45e9,
    Retries: 2,
  });
  assert.deepEqual(built.config.health, { kind: "http", path: "/up", port: null, startMs: 45_000 });
  assert.deepEqual(
    history.slice(0, 6).map((entry) => entry.created_by),
    [
      "RUN /bin/sh -c put /f 1 # buildkit",
      "EXPOSE [80/tcp 8000/udp 8001/udp]",
      "VOLUME [/data /x y]",
      "SHELL [/bin/x -e]",
      'CMD ["/bin/x" "-e" "run $A"]',
      'ENTRYPOINT ["/e" "a b"]',
    ],
  );
});

test("a chain of 10,000 stages is built, and so are 10,000 instructions", { timeout: 120_000 }, async () => {
  const { shop } = newShop();
  const chain = Array.from({ length: 9999 }, (_, i) => `FROM s${i} AS s${i + 1}`).join("\n");
  const built = await shop.build(`FROM scratch AS s0\nRUN put /f 1\n${chain}\n`);
  assert.deepEqual(await shop.files(built), ["f file 644 0:0 1"]);
  const many = await shop.build(`FROM scratch\nRUN put /f 1\n${"ENV A=b$A\n".repeat(14)}${"ENV B=b\n".repeat(10_000)}`);
  assert.equal((await shop.image(many)).config.Env?.at(-1), "B=b");
});

test("stages of another platform are built where nothing is run in them, and say so in the image", async () => {
  const { shop, steps } = newShop();
  shop.write("a");
  const built = await shop.build(
    "FROM scratch AS tools\nRUN put /made 1\nFROM --platform=linux/arm64 scratch\nARG TARGETARCH\nENV BUILT_ON=$TARGETARCH\nCOPY --from=tools /made /\nCOPY a /\n",
  );
  const { architecture, config } = await shop.image(built);
  assert.deepEqual([architecture, config.Env?.at(-1)?.startsWith("BUILT_ON=")], ["arm64", true]);
  assert.equal(steps.requests.length, 1);
  await assert.rejects(
    shop.build("FROM --platform=linux/arm64 scratch\nCOPY a /\nRUN x\n"),
    (error) =>
      error instanceof OperatorError &&
      error.code === "NOT_YET_SUPPORTED" &&
      /line 3: RUN in a stage for linux\/arm64/.test(error.message),
  );
});

test("a base that cannot be had names the stage that was most likely meant", async () => {
  const { shop } = newShop();
  const hintOf = (file: string): Promise<string> =>
    shop.build(file).then(
      () => "built",
      (error: OperatorError) => error.hint,
    );
  assert.match(await hintOf("FROM scrach\nRUN put /f 1\n"), /^did you mean scratch\?/);
  assert.match(await hintOf("FROM scratch AS build\nRUN put /f 1\nFROM biuld\n"), /^did you mean build\?/);
  assert.match(await hintOf("FROM elsewhere:1\nRUN put /f 1\n"), /^bring it/);
});
