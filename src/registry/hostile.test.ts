import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { ErrorCode } from "../errors/codes.ts";
import { mediaTypes } from "../image/media-types.ts";
import { describe } from "../image/oci.ts";
import { sha256 } from "../model/canonical.ts";
import { createLocalStore } from "../store/local.ts";
import { newClient, newFolder, newServer, pullOptions, referenceTo, signal, withCode } from "./fixture.suite.ts";
import { makeImage, publish, type TestRegistry } from "./server.suite.ts";

const image = makeImage([5000, 70]);
const layer = image.layers[0] as Buffer;
const layerPath = `/v2/shop/blobs/${sha256(layer)}`;
const configPath = `/v2/shop/blobs/${sha256(image.config)}`;

/** Writes for ever, as fast as it is read. */
function endless(response: ServerResponse): void {
  const piece = Buffer.alloc(65_536, "x");
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
}

interface Case {
  readonly what: string;
  readonly path: string;
  readonly answer: (response: ServerResponse, server: TestRegistry) => void;
  readonly code: ErrorCode;
  readonly says: RegExp;
}

const lie = "VERIFICATION_FAILED";
const blobs: readonly Case[] = [
  {
    what: "a layer of other bytes",
    path: layerPath,
    answer: (response) => response.end(Buffer.from(layer).reverse()),
    code: lie,
    says: /bytes have another digest/,
  },
  {
    what: "a layer without end",
    path: layerPath,
    answer: (response) => endless(response),
    code: lie,
    says: /more than [0-9]+ bytes/,
  },
  {
    what: "a layer of another length",
    path: layerPath,
    answer: (response) => response.writeHead(200, { "content-length": 1e12 }).write("x"),
    code: lie,
    says: /1000000000000 bytes instead of/,
  },
  {
    what: "a layer that always ends too early",
    path: layerPath,
    answer: (response) => response.writeHead(200, { "transfer-encoding": "chunked" }).end(),
    code: "REGISTRY_FAILED",
    says: /sent 0 of [0-9]+ bytes/,
  },
  {
    what: "a rest that is not the rest",
    path: layerPath,
    answer: (response) =>
      response.writeHead(206, { "content-range": `bytes 1-${layer.byteLength - 1}/${layer.byteLength}` }).end("x"),
    code: "REGISTRY_FAILED",
    says: /answered 206/,
  },
  {
    what: "a config of other bytes",
    path: configPath,
    answer: (response) => response.end(Buffer.from(image.config).reverse()),
    code: lie,
    says: /its bytes are sha256:/,
  },
  {
    what: "a config without end",
    path: configPath,
    answer: (response) => endless(response),
    code: lie,
    says: /more than [0-9]+ bytes/,
  },
  {
    what: "redirects in a circle",
    path: layerPath,
    answer: (response) => response.writeHead(307, { location: layerPath }).end(),
    code: "REGISTRY_FAILED",
    says: /redirects more than 5 times/,
  },
  {
    what: "a redirect to a file",
    path: layerPath,
    answer: (response) => response.writeHead(302, { location: "file:///etc/shadow" }).end(),
    code: "REGISTRY_FAILED",
    says: /no https address/,
  },
  {
    what: "a blob that is gone",
    path: layerPath,
    answer: (response) => response.writeHead(404).end(),
    code: "NOT_FOUND",
    says: /no such image/,
  },
  {
    what: "a refusal without end",
    path: layerPath,
    answer: (response) => endless(response.writeHead(403)),
    code: "REGISTRY_FAILED",
    says: /answered 403/,
  },
  {
    what: "a refusal with control characters",
    path: layerPath,
    answer: (response) => response.writeHead(418).end('{"errors":[{"code":"\\u001b[2J","message":"\\nhint: rm -rf"}]}'),
    code: "REGISTRY_FAILED",
    says: /418: \\x1b\[2J \\nhint/,
  },
];

for (const { what, path, answer, code, says } of blobs) {
  test(`\`pull()\` refuses ${what}, and keeps nothing of it`, async () => {
    const server = await newServer();
    publish(server, "shop", "1", image);
    server.behave = (_request, response, asked) => {
      if (asked === path) answer(response, server);
      return asked === path;
    };
    const store = createLocalStore(newFolder());
    const folder = newFolder();
    await assert.rejects(
      newClient({ folder }).pull(referenceTo(server, "shop:1"), image.digest, store, pullOptions),
      withCode(code, says),
    );
    assert.equal(await store.stat(sha256(layer)), undefined);
    assert.equal(await store.stat(image.digest), undefined);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes(".")),
      [],
    );
  });
}

const manifests: readonly (readonly [
  what: string,
  bytes: (response: ServerResponse) => void,
  code: ErrorCode,
  says: RegExp,
])[] = [
  ["a manifest without end", (response) => endless(response), lie, /more than 4194304 bytes/],
  ["a manifest of Docker's first schema", (response) => response.end('{"schemaVersion":1}'), lie, /schema 1/],
  ["a manifest that is no JSON", (response) => response.end("<html>"), lie, /no JSON/],
  [
    "a manifest of another digest than it tells",
    (response) => response.writeHead(200, { "docker-content-digest": sha256("x") }).end(image.manifest),
    lie,
    /it is sha256:/,
  ],
  [
    "an index of 1001 images",
    (response) =>
      response.end(JSON.stringify({ schemaVersion: 2, manifests: Array.from({ length: 1001 }, () => ({})) })),
    lie,
    /at most 1000/,
  ],
  [
    "a config of 1 TB",
    (response) =>
      response.end(
        JSON.stringify({
          schemaVersion: 2,
          layers: [],
          config: { ...describe(mediaTypes.config, image.config), digest: sha256("huge"), size: 1e12 },
        }),
      ),
    "NOT_FOUND",
    /no such image/,
  ],
  [
    "a digest of another kind",
    (response) =>
      response.end(
        JSON.stringify({
          schemaVersion: 2,
          layers: [],
          config: { ...describe(mediaTypes.config, image.config), digest: "md5:1" },
        }),
      ),
    lie,
    /no sha256 digest/,
  ],
];

for (const [what, answer, code, says] of manifests) {
  test(`\`resolve()\` refuses ${what}`, async () => {
    const server = await newServer();
    server.behave = (_request, response, path) => {
      if (path === "/v2/shop/manifests/1") answer(response);
      return path === "/v2/shop/manifests/1";
    };
    await assert.rejects(newClient().resolve(referenceTo(server, "shop:1"), signal), withCode(code, says));
  });
}

test("`resolve()` of a digest takes nothing else for it", async () => {
  const server = await newServer();
  const other = sha256("other");
  server.manifests.set(`shop ${other}`, image.manifest);
  await assert.rejects(
    newClient().resolve(referenceTo(server, `shop@${other}`), signal),
    withCode(lie, new RegExp(`it is ${image.digest} and not ${other}`)),
  );
});

test("`resolve()` waits and tries again where that may help, five times at most", async () => {
  const server = await newServer();
  publish(server, "shop", "1", image);
  let failures = 4;
  server.behave = (_request, response, path) => {
    if (!path.includes("manifests") || failures-- <= 0) return false;
    const words = JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "pull rate limit" }] });
    response.writeHead(failures % 2 === 0 ? 503 : 429, { "retry-after": "0" }).end(words);
    return true;
  };
  const { platforms } = await newClient().resolve(referenceTo(server, "shop:1"), signal);
  assert.deepEqual(platforms, { "linux/amd64": image.digest });
  failures = 5;
  await assert.rejects(
    newClient().resolve(referenceTo(server, "shop:1"), signal),
    withCode("REGISTRY_FAILED", /answered (503|429): TOOMANYREQUESTS pull rate limit/),
  );
  assert.equal(failures, 0);
});

test("`resolve()` does not wait for longer than a minute", async () => {
  const server = await newServer();
  let asked = 0;
  server.behave = (_request, response) => {
    asked += 1;
    response.writeHead(429, { "retry-after": "3600" }).end();
    return true;
  };
  await assert.rejects(
    newClient().resolve(referenceTo(server, "shop:1"), signal),
    withCode("REGISTRY_FAILED", /answered 429/),
  );
  assert.equal(asked, 1);
});

test("`resolve()` says at once that nobody is there", async () => {
  const server = await newServer();
  server.close();
  await assert.rejects(
    newClient().resolve(referenceTo(server, "shop:1"), signal),
    withCode("REGISTRY_FAILED", /ECONNREFUSED/),
  );
});

test("`pull()` gives up what brings nothing, or a trickle, and says so", async () => {
  const ways: readonly ((response: ServerResponse) => void)[] = [
    () => undefined,
    (response) => response.writeHead(200, { "content-length": layer.byteLength }).flushHeaders(),
    (response) => {
      response.writeHead(200, { "content-length": layer.byteLength });
      const drip = setInterval(() => response.write("x"), 20);
      response.once("close", () => clearInterval(drip));
    },
  ];
  for (const way of ways) {
    const server = await newServer();
    publish(server, "shop", "1", image);
    server.behave = (_request, response, path) => {
      if (path === layerPath) way(response);
      return path === layerPath;
    };
    const trickling = newClient({ patienceMs: 200 });
    await assert.rejects(
      trickling.pull(referenceTo(server, "shop:1"), image.digest, createLocalStore(newFolder()), pullOptions),
      withCode("REGISTRY_FAILED", /no byte for 0\.2 s|less than 65536 bytes in 0\.2 s/),
    );
  }
});
