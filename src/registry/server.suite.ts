import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { mediaTypes } from "../image/media-types.ts";
import { describe, serialiseConfig, serialiseManifest } from "../image/oci.ts";
import { writeTar } from "../image/tar-write.ts";
import { sha256, type Digest } from "../model/canonical.ts";

/** A registry in memory for tests, which can be told to behave badly. */
export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly blobs: Map<string, Buffer>;
  /** By `NAME REFERENCE`. */
  readonly manifests: Map<string, Buffer>;
  /** Every request, `METHOD PATH`, in order. */
  readonly log: string[];
  readonly seen: IncomingMessage["headers"][];
  /** Takes a request over when it returns true. */
  behave: (request: IncomingMessage, response: ServerResponse, path: string) => boolean;
  close(): void;
}

export async function startRegistry(): Promise<TestRegistry> {
  const uploads = new Map<string, Buffer>();
  const registry: TestRegistry = {
    host: "",
    blobs: new Map(),
    manifests: new Map(),
    log: [],
    seen: [],
    behave: () => false,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://x");
    const path = url.pathname;
    registry.log.push(`${request.method} ${path}`);
    registry.seen.push(request.headers);
    if (registry.behave(request, response, path)) return;
    void answer(request, response, url);
  });
  const answer = async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    const say = (status: number, headers: Record<string, string | number> = {}, body?: Buffer): void => {
      response.writeHead(status, { "content-length": body?.byteLength ?? 0, ...headers });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    const match = /^\/v2\/(.+)\/(manifests|blobs|blobs\/uploads)\/([^/]*)$/.exec(url.pathname);
    if (url.pathname === "/v2/") return say(200, {}, Buffer.from("{}"));
    const [, name = "", kind, reference = ""] = match ?? [];
    if (kind === "manifests" && request.method === "PUT") {
      const bytes = await read(request);
      registry.manifests.set(`${name} ${reference}`, bytes);
      return say(201, { "docker-content-digest": sha256(bytes) });
    }
    if (kind === "manifests") {
      const bytes = registry.manifests.get(`${name} ${reference}`);
      if (bytes === undefined) return say(404, {}, Buffer.from('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'));
      return say(200, { "docker-content-digest": sha256(bytes) }, bytes);
    }
    if (kind === "blobs/uploads") {
      const here = `${url.pathname.replace(/[^/]*$/, "")}${reference}`;
      if (request.method === "POST") {
        const mount = url.searchParams.get("mount");
        if (mount !== null && registry.blobs.has(mount)) return say(201, { location: `/v2/${name}/blobs/${mount}` });
        const id = `u${uploads.size}`;
        uploads.set(id, Buffer.alloc(0));
        return say(202, { location: `${url.pathname}${id}` });
      }
      const before = uploads.get(reference);
      if (before === undefined) return say(404);
      if (request.method === "GET")
        return say(204, { location: here, range: `0-${Math.max(0, before.byteLength - 1)}` });
      const bytes = await read(request, (piece) =>
        uploads.set(reference, Buffer.concat([uploads.get(reference) ?? before, piece])),
      );
      if (request.method === "PATCH")
        return say(202, { location: here, range: `0-${before.byteLength + bytes.byteLength - 1}` });
      const whole = uploads.get(reference) ?? before;
      const digest = url.searchParams.get("digest") ?? "";
      if (sha256(whole) !== digest) return say(400, {}, Buffer.from('{"errors":[{"code":"DIGEST_INVALID"}]}'));
      registry.blobs.set(digest, whole);
      return say(201, { location: `/v2/${name}/blobs/${digest}` });
    }
    const blob = registry.blobs.get(reference);
    if (blob === undefined) return say(404, {}, Buffer.from('{"errors":[{"code":"BLOB_UNKNOWN"}]}'));
    const from = /^bytes=([0-9]+)-$/.exec(request.headers.range ?? "")?.[1];
    if (from === undefined) return say(200, { "content-length": blob.byteLength }, blob);
    const range = `bytes ${from}-${blob.byteLength - 1}/${blob.byteLength}`;
    return say(206, { "content-range": range }, blob.subarray(Number(from)));
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(registry, { host: `127.0.0.1:${(server.address() as AddressInfo).port}` });
}

async function read(request: IncomingMessage, each: (piece: Buffer) => void = () => undefined): Promise<Buffer> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of request as AsyncIterable<Buffer>) {
      pieces.push(piece);
      each(piece);
    }
  } catch {
    // It broke off; what came counts.
  }
  return Buffer.concat(pieces);
}

export interface TestImage {
  readonly digest: Digest;
  readonly manifest: Buffer;
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
}

/** An image of gzipped layers with one file each. @param sizes of the files; they do not compress */
export function makeImage(sizes: readonly number[], architecture = "amd64"): TestImage {
  const tars = sizes.map((size, index) => {
    const pieces = Array.from({ length: Math.ceil(size / 32) }, (_, piece) =>
      Buffer.from(sha256(`${index} ${piece}`).slice(7), "hex"),
    );
    const content = Buffer.concat(pieces).subarray(0, size);
    const entry = {
      path: `file${index}`,
      kind: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      size,
      target: "",
    } as const;
    return Buffer.concat([...writeTar([{ entry, content: () => [content] }])]);
  });
  return imageOf(tars, architecture);
}

/** An image of these archives as its layers, gzipped, whatever is in them. */
export function imageOf(tars: readonly Buffer[], architecture = "amd64"): TestImage {
  const layers = tars.map((tar) => gzipSync(tar));
  const config = serialiseConfig({
    architecture,
    os: "linux",
    config: {},
    diffIds: tars.map((tar) => sha256(tar)),
    history: [],
  });
  const manifest = serialiseManifest({
    config: describe(mediaTypes.config, config),
    layers: layers.map((layer) => describe(`${mediaTypes.layer}+gzip`, layer)),
    annotations: {},
  });
  return { digest: sha256(manifest), manifest, config, layers };
}

/** Puts an image there as if it had been pushed. */
export function publish(registry: TestRegistry, name: string, tag: string, image: TestImage): void {
  registry.manifests.set(`${name} ${tag}`, image.manifest);
  registry.manifests.set(`${name} ${image.digest}`, image.manifest);
  for (const bytes of [image.config, ...image.layers]) registry.blobs.set(sha256(bytes), bytes);
}
