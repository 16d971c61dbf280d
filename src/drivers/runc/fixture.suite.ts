import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256, type Digest } from "../../model/canonical.ts";
import type { InstanceName } from "../../model/names.ts";
import { placesOf, type Places } from "../../model/places.ts";
import type { EventData } from "../../ledger/event.ts";
import { suiteSet } from "../../ports/runtime.suite.ts";
import type { Secrets } from "../../ports/secrets.ts";
import type { Store } from "../../ports/store.ts";
import { createLocalStore } from "../../store/local.ts";
import { createMemorySecrets } from "../memory/secrets.ts";
import { createVolumeStore } from "../volumes/volumes.ts";
import { createSystemClock } from "../system/clock.ts";
import { createRuncRuntime, type RuncRuntime, type RuncRuntimeOptions } from "./runtime.ts";

/** For the tests on real processes: a state folder of its own, a store, and images of a few kilobytes to a few megabytes. */
export interface Bench {
  readonly places: Places;
  readonly store: Store;
  readonly secrets: Secrets;
  readonly events: EventData[];
  readonly signal: AbortSignal;
  runtime(options?: Partial<RuncRuntimeOptions>): Promise<RuncRuntime>;
  readonly set: typeof suiteSet;
  /** Ends what still runs, closes the runtime and removes the folder. */
  end(runtime: RuncRuntime): Promise<void>;
}

const busybox = "/bin/busybox";
const applets = [
  "sh",
  "httpd",
  "cat",
  "echo",
  "env",
  "id",
  "sleep",
  "touch",
  "head",
  "seq",
  "wget",
  "mount",
  "unshare",
  "ulimit",
  "hostname",
  "stat",
  "tail",
  "printf",
  "ls",
  "nc",
  "kill",
  "yes",
  "dd",
  "true",
  "tr",
  "usleep",
];

export async function createBench(): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "bronze-"));
  const places = placesOf(folder);
  const store = createLocalStore(join(folder, "store"));
  const events: EventData[] = [];
  const secrets = createMemorySecrets().open();
  const volumes = createVolumeStore({ folder: join(folder, "volumes"), wall: () => Date.now() });
  return {
    places,
    store,
    secrets,
    events,
    signal: new AbortController().signal,
    runtime: (options = {}) =>
      createRuncRuntime({
        places,
        store,
        clock: createSystemClock(Date.now()),
        layerImages: imagesIn(events),
        record: (data) => events.push(data),
        secrets,
        networks: networksIn(events),
        sharedSubnet: null,
        volumes,
        ...options,
      }),
    set: suiteSet,
    async end(runtime) {
      const names = (await runtime.observe()).map(({ name }) => name);
      await runtime.remove(names, 0, new AbortController().signal);
      await runtime.close();
      spawnSync("chattr", ["-R", "-f", "-i", join(folder, "layers")], { stdio: "ignore" });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function imagesIn(events: readonly EventData[]): ReadonlyMap<Digest, Digest> {
  return new Map(
    events.flatMap((event) => (event.kind === "layer.imaged" ? [[event.diffId, event.imageDigest] as const] : [])),
  );
}

function networksIn(events: readonly EventData[]): RuncRuntimeOptions["networks"] {
  return new Map(
    events.flatMap((event) =>
      event.kind === "network.chosen" && event.environment !== undefined
        ? [[event.environment, { subnet: event.subnet, number: event.number ?? 0 }] as const]
        : [],
    ),
  );
}

/** Writes a tar of a folder that `fill` makes. */
export function layerTar(fill: (root: string) => void, flags: readonly string[] = []): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "bronze-layer-"));
  try {
    const root = join(folder, "root");
    mkdirSync(root, { mode: 0o755 });
    fill(root);
    execFileSync("tar", [
      "--create",
      "--file",
      join(folder, "layer.tar"),
      "--sort=name",
      "--mtime=@1600000000",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      ...flags,
      "--directory",
      root,
      ".",
    ]);
    return readFileSync(join(folder, "layer.tar"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** busybox with its commands, users, and a page to serve. */
export function busyboxLayer(root: string): void {
  for (const path of ["bin", "etc", "www"]) mkdirSync(join(root, path));
  copyFileSync(busybox, join(root, "bin/busybox"));
  chmodSync(join(root, "bin/busybox"), 0o755);
  for (const applet of applets) symlinkSync("busybox", join(root, "bin", applet));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1000:\nextra:x:2000:app\n");
  writeFileSync(join(root, "www/index.html"), "hello\n");
}

export interface ImageInput {
  readonly layers: readonly Buffer[];
  readonly config?: { readonly [key: string]: unknown };
}

/** Puts an image into a store. @returns the digest of its manifest */
export async function putImage(store: Store, input: ImageInput): Promise<Digest> {
  const layers: { mediaType: string; digest: Digest; size: number }[] = [];
  for (const layer of input.layers)
    layers.push({ mediaType: "application/vnd.oci.image.layer.v1.tar", ...(await store.write(layer)) });
  const config = {
    architecture: "amd64",
    os: "linux",
    config: input.config ?? {},
    rootfs: { type: "layers", diff_ids: input.layers.map((layer) => sha256(layer)) },
  };
  const written = await store.write(Buffer.from(JSON.stringify(config)));
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...written },
    layers,
  };
  return (await store.write(Buffer.from(JSON.stringify(manifest)))).digest;
}

/** An image that serves /www by busybox httpd on $PORT. */
export async function putHttpImage(store: Store): Promise<Digest> {
  return putImage(store, {
    layers: [layerTar(busyboxLayer)],
    config: { Cmd: ["/bin/sh", "-c", "exec httpd -f -h /www -p $PORT"], Env: ["FROM_IMAGE=1"] },
  });
}

/** An image whose instances do nothing until they are told to end. */
export async function putPatientImage(store: Store): Promise<Digest> {
  return putImage(store, {
    layers: [layerTar(busyboxLayer)],
    config: { Cmd: ["/bin/sh", "-c", "trap 'exit 0' TERM; echo ready; while true; do sleep 1000 & wait $!; done"] },
  });
}

/** Process id of an instance's conmon. */
export function supervisorOf(places: Places, name: InstanceName): number {
  return Number(readFileSync(join(places.run, "instances", name, "conmon.pid"), "utf8"));
}

/** Asks again until there is an answer; gives up after half a minute. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error("it did not come to pass within 30 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
