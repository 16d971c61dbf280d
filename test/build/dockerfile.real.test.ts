import assert from "node:assert/strict";
import { test } from "node:test";
import { createSite, get, server } from "../support/bronze.ts";

const file = (healthPath: string): string =>
  [
    "ARG GREETING=nobody",
    "FROM scratch AS base",
    "COPY root/ /",
    'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    "FROM base AS pages",
    "ARG GREETING",
    "WORKDIR /out",
    "RUN --mount=type=cache,target=/cache <<SH",
    'echo "hello $GREETING" > index.html',
    "echo ok > healthz",
    "SH",
    "FROM base AS web",
    "COPY --from=pages --chown=65532:65532 /out /www",
    "VOLUME /data",
    `HEALTHCHECK --interval=5s CMD wget -qO- http://localhost:8080${healthPath} || exit 1`,
    "EXPOSE 8080",
    "USER 65532:65532",
    `CMD ${JSON.stringify(server)}`,
    "FROM base",
    "RUN exit 1",
    "",
  ].join("\n");

const definition = [
  "app: shop",
  "build: { dockerfile: Dockerfile, target: web, args: { GREETING: world } }",
  "run: { health: { deadline: 3s } }",
  "environments: { production: { instances: 1 } }",
  "",
].join("\n");

interface Built {
  readonly digest: string;
  readonly steps: readonly { readonly step: string; readonly how: string }[];
}

test("A Dockerfile of several stages goes live by its target, and its HEALTHCHECK is how it is asked", async (t) => {
  const site = createSite(t);
  site.write({ Dockerfile: file("/healthz"), "bronze.yaml": definition });
  const up = await site.bronze(["up", "--http-port", "0", "--json"]);
  assert.equal(up.status, 0, up.stderr);
  assert.match(up.stderr, /VOLUME \/data is no writable place here/);
  const { url } = JSON.parse(up.stdout.trim().split("\n").at(-1) ?? "") as { readonly url: string };
  assert.equal((await get(url)).body, "hello world\n");

  const other = await site.json<Built>(["build", "--build-arg", "GREETING=you", "--target", "web"]);
  const again = await site.json<Built>(["build", "--build-arg", "GREETING=you"]);
  assert.equal(again.digest, other.digest);
  assert.ok(again.steps.every(({ how }) => how === "cached"));

  const failing = await site.bronze(["build", "--target", "3"]);
  assert.equal(failing.status, 10);
  assert.match(failing.stderr, /Dockerfile, line 20/);
  assert.equal((await site.bronze(["build", "--target", "nowhere"])).status, 4);

  site.write({ Dockerfile: file("/absent") });
  const refused = await site.bronze(["up"]);
  assert.equal(refused.status, 5);
  assert.match(refused.stderr, /GET \/absent/);
  assert.equal((await get(url)).body, "hello world\n");
});
