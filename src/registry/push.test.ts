import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "../model/canonical.ts";
import type { Store } from "../ports/store.ts";
import { createLocalStore } from "../store/local.ts";
import { newClient, newFolder, newServer, referenceTo, signal, withCode } from "./fixture.suite.ts";
import { makeImage, type TestImage, type TestRegistry } from "./server.suite.ts";

const image = makeImage([5_000_000, 2000]);
const big = image.layers[0] as Buffer;

async function storeWith({ manifest, config, layers }: TestImage): Promise<Store> {
  const store = createLocalStore(newFolder());
  for (const bytes of [...layers, config, manifest]) await store.write(bytes);
  return store;
}

function assertThere(server: TestRegistry, name: string, tag: string): void {
  assert.deepEqual(server.manifests.get(`${name} ${tag}`), image.manifest);
  assert.deepEqual(server.manifests.get(`${name} ${image.digest}`), image.manifest);
  for (const bytes of [image.config, ...image.layers]) assert.deepEqual(server.blobs.get(sha256(bytes)), bytes);
}

test("`push()` sends blobs, then the manifest by digest, then the tag; what is there is not sent again", async () => {
  const server = await newServer();
  const store = await storeWith(image);
  const reference = referenceTo(server, "team/shop:v1");
  const sent = new Map<string, number>();
  const progress = ({ digest, bytes, of }: { digest: string; bytes: number; of: number }): void => {
    sent.set(digest, bytes / of);
  };
  await newClient().push(image.digest, reference, store, { signal, progress });
  assertThere(server, "team/shop", "v1");
  assert.deepEqual([...sent.values()], [1, 1, 1]);
  assert.deepEqual(server.log.slice(-2), [
    `PUT /v2/team/shop/manifests/${image.digest}`,
    "PUT /v2/team/shop/manifests/v1",
  ]);
  server.log.length = 0;
  await newClient().push(image.digest, referenceTo(server, "team/shop:v2"), store, { signal });
  assert.deepEqual(
    server.log.filter((line) => !/^(HEAD|GET)/.test(line)),
    [`PUT /v2/team/shop/manifests/${image.digest}`, "PUT /v2/team/shop/manifests/v2"],
  );
});

test("`push()` has layers of another repository mounted instead of sending them", async () => {
  const server = await newServer();
  server.blobs.set(sha256(big), big);
  server.behave = (request, response, path) => {
    if (request.method !== "HEAD" || !path.endsWith(sha256(big))) return false;
    response.writeHead(404).end();
    return true;
  };
  const alsoIn = new Map([[sha256(big), "team/base"]]);
  await newClient().push(image.digest, referenceTo(server, "team/shop:v1"), await storeWith(image), { signal, alsoIn });
  assert.equal(server.log.filter((line) => line.startsWith("PATCH")).length, 0);
  assertThere(server, "team/shop", "v1");
});

test("`push()` goes on where an upload broke", async () => {
  const server = await newServer();
  let breaks = 6;
  server.behave = (request, _response, _path) => {
    if (request.method === "PATCH" && breaks > 0) {
      breaks -= 1;
      let bytes = 0;
      request.on("data", (piece: Buffer) => {
        bytes += piece.byteLength;
        if (bytes > 600_000) request.destroy();
      });
    }
    return false;
  };
  await newClient().push(image.digest, referenceTo(server, "team/shop:v1"), await storeWith(image), { signal });
  assertThere(server, "team/shop", "v1");
  const from = server.seen.flatMap(({ "content-range": range }) =>
    range === undefined ? [] : Number.parseInt(range, 10),
  );
  assert.ok(
    from.length >= 6 && from.every((start, index) => start > (from[index - 1] ?? 0)),
    `begun again at ${from.join()}`,
  );
});

test("`push()` begins again where the registry has forgotten the upload", async () => {
  const server = await newServer();
  let patches = 0;
  server.behave = (request, response) => {
    if (request.method === "PATCH" && patches++ === 0) {
      request.socket.destroy();
      return true;
    }
    if (request.method !== "GET" || !/uploads\/u/.test(request.url ?? "")) return false;
    response.writeHead(416).end();
    return true;
  };
  await newClient().push(image.digest, referenceTo(server, "team/shop:v1"), await storeWith(image), { signal });
  assertThere(server, "team/shop", "v1");
});

test("`push()` tells of bytes that the registry took for others, and of an index", async () => {
  const server = await newServer();
  const store = await storeWith(image);
  server.behave = (request, response, path) => {
    if (request.method !== "PUT" || !path.includes("manifests")) return false;
    request.resume();
    response.writeHead(201, { "docker-content-digest": sha256("other") }).end();
    return true;
  };
  await assert.rejects(
    newClient().push(image.digest, referenceTo(server, "team/shop:v1"), store, { signal }),
    withCode("VERIFICATION_FAILED", /took it as sha256:/),
  );
  const { digest } = await store.write(Buffer.from('{"schemaVersion":2,"manifests":[]}'));
  await assert.rejects(
    newClient().push(digest, referenceTo(server, "team/shop:v1"), store, { signal }),
    withCode("ARGUMENT_INVALID", /index of several/),
  );
});
