import assert from "node:assert/strict";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createStepRunner } from "../../drivers/steps/runner.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import type { StepRunner } from "../../ports/step-runner.ts";
import { createWorkshop, fillProject } from "./build.suite.ts";

let runner: StepRunner;
const shop = createWorkshop(() => Promise.resolve(runner));
before(() => {
  runner = createStepRunner(shop.cacheDir);
  fillProject(shop);
  copyFileSync("/bin/busybox", join(shop.project, "busybox"));
});
after(async () => {
  await runner.close();
  shop.remove();
});

const base = [
  "FROM scratch AS base",
  "COPY busybox /bin/busybox",
  'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
  "RUN mkdir -p /etc /tmp && chmod 1777 /tmp && echo 'web:x:10:20::/home/web:/bin/sh' > /etc/passwd && echo 'staff:x:50:' > /etc/group",
  "",
].join("\n");

test(
  "a build of several stages, mounts and here-documents has what its programs made, the same bytes each time",
  { timeout: 120_000 },
  async () => {
    const file = [
      `ARG V=1\n${base}`,
      "FROM base AS build",
      "ARG V",
      'ENV G="a ${V} b"',
      "WORKDIR /workshop",
      "COPY --chown=web:staff src/ ./",
      "RUN --mount=type=cache,target=/cache --mount=source=two,target=/mnt/two --mount=type=tmpfs,target=/t --mount=type=secret,id=key --mount=type=secret,id=key,env=KEY <<SH",
      "set -e",
      'echo "$G" > out.txt',
      "cat /mnt/two/x/d.txt >> out.txt",
      '[ "$KEY" = "$(cat /run/secrets/key)" ] && touch /cache/x /t/x',
      "SH",
      "RUN <<'SCRIPT'",
      "#!/bin/sh",
      "stat -c '%a %u:%g' sub > script.txt; ln script.txt again; mkfifo pipe; rm pipe",
      "SCRIPT",
      "RUN cat <<A >doc.txt && rm -r sub",
      "one $V",
      "A",
      // A mount over the working directory, with another in it; what is written there is gone.
      "RUN --mount=target=.,rw --mount=type=tmpfs,target=two/x cat src/a.txt link > /bound && echo x > src/new && ls two/x > /empty",
      "RUN ls /workshop > /left",
      "FROM base AS unneeded",
      "RUN exit 1",
      "FROM base",
      "COPY --from=build /workshop /srv/workshop",
      "COPY --from=build /bound /empty /left /srv/",
      "COPY --from=build --chown=1:2 --chmod=u=rwX,go= /workshop/out.txt /srv/",
      "USER web",
      "WORKDIR /home/web/x",
      "RUN id -u > me && umask > mask",
      'CMD ["sh"]',
      "",
    ].join("\n");
    const secrets = [{ id: "key", value: Buffer.from("a secret value of some length") }];
    const built = await shop.build(file, { secrets });
    const own = (await shop.files(built)).filter((row) => /^(srv|home)/.test(row));
    assert.deepEqual(own, [
      "home directory 755 10:20",
      "home/web directory 755 10:20",
      "home/web/x directory 755 10:20",
      "home/web/x/mask file 644 10:20 0022",
      "home/web/x/me file 644 10:20 10",
      "srv directory 755 0:0",
      "srv/bound file 644 0:0 aa",
      "srv/empty file 644 0:0",
      "srv/left file 644 0:0 a.txt\nagain\ndoc.txt\nhard.txt\nout.txt\nscript.txt",
      "srv/out.txt file 600 1:2 a 1 b\nd",
      "srv/workshop directory 755 0:0",
      "srv/workshop/a.txt file 644 10:50 a",
      "srv/workshop/again file 644 0:0 755 10:50",
      "srv/workshop/doc.txt file 644 0:0 one 1",
      "srv/workshop/hard.txt file 644 10:50 a",
      "srv/workshop/out.txt file 644 0:0 a 1 b\nd",
      "srv/workshop/script.txt file 644 0:0 755 10:50",
    ]);
    shop.events.length = 0;
    const again = await shop.build(file, { secrets });
    assert.equal(again.digest, built.digest);
    assert.ok(shop.events.every((event) => event.kind !== "ended" || event.how === "cached"));
    assert.equal((await shop.build(file, { secrets, noCache: true })).digest, built.digest);
  },
);

test("a program that fails is named with its step, line, output and status", { timeout: 60_000 }, async () => {
  shop.events.length = 0;
  await assert.rejects(
    shop.build(`${base}FROM base\nRUN echo why it failed >&2; exit 7\n`),
    (error) =>
      error instanceof OperatorError &&
      error.code === "BUILD_FAILED" &&
      error.message.includes("(Dockerfile, line 6)") &&
      (error.details as { status: number }).status === 7,
  );
  const output = shop.events.flatMap((event) => (event.kind === "output" ? [event] : []));
  assert.deepEqual(
    output.map(({ step, bytes }) => [step, bytes.toString()]),
    [["2/2 of stage 1", "why it failed\n"]],
  );
});

test(
  "a base that goes away while others build on it is named, with the line that asked for it",
  { timeout: 60_000 },
  async () => {
    const made = await shop.build(`${base}RUN echo 1 > /one\n`, { tagAs: "mine:1" });
    await shop.build("FROM mine:1\nRUN echo 2 > /two\n");
    const layer = made.layers.at(-1);
    assert.ok(layer !== undefined);
    rmSync(await shop.store.path(layer.digest), { force: true });
    rmSync(shop.cacheDir, { recursive: true, force: true });
    await assert.rejects(
      shop.build("FROM mine:1\nRUN echo 3 > /three\n"),
      (error) => error instanceof OperatorError && error.exitStatus !== 1 && /line [12]/.test(error.message),
    );
  },
);
