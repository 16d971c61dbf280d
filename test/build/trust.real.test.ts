import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { describe } from "../../src/image/oci.ts";
import { parseReference } from "../../src/image/reference.ts";
import { serialiseReferrer } from "../../src/image/referrer.ts";
import { digestHex, sha256, type Digest } from "../../src/model/canonical.ts";
import type { Referrer } from "../../src/ports/store.ts";
import { createRegistry } from "../../src/registry/registry.ts";
import { attestationBlob } from "../../src/store/attestations.ts";
import { createLocalStore, type LocalStore } from "../../src/store/local.ts";
import { bundleType, readBundle, serialiseBundle, type Bundle } from "../../src/trust/bundle.ts";
import type { KeyId } from "../../src/trust/envelope.ts";
import { predicateTypes } from "../../src/trust/statement.ts";
import { createSite, launcher, type Site } from "../support/bronze.ts";
import { fetchCosign, noRoots } from "../support/cosign.ts";
import { startDockerRegistry } from "../support/docker-registry.ts";

interface Built {
  readonly digest: Digest;
}

const storeOf = (site: Site): LocalStore => createLocalStore(join(site.state, "store"));
const kindOf = ({ annotations }: Referrer): string => annotations?.["dev.sigstore.bundle.predicateType"] ?? "";

async function bundleOf(
  site: Site,
  artifact: Digest,
  kind: string,
): Promise<{ readonly bundle: Bundle; readonly blob: Digest }> {
  const store = storeOf(site);
  const referrer = (await store.referrers(artifact, bundleType)).find((one) => kindOf(one) === kind);
  const blob = await attestationBlob(store, referrer?.digest as Digest);
  const bundle = readBundle(await store.read(blob as Digest));
  assert.ok(typeof bundle !== "string");
  return { bundle, blob: blob as Digest };
}

function flip(path: string, at = 100): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}

const ownKind = "https://example.test/review/v1";

test(
  "cosign, unmodified, accepts by key what `bronze push` put into a registry, and refuses a flipped byte, another key, a swapped predicate",
  { timeout: 600_000 },
  async (t) => {
    const program = fetchCosign();
    const { host } = await startDockerRegistry(t, { guarded: false });
    const site = createSite(t);
    const { digest } = await site.json<Built>(["build"]);
    site.write({ "review.json": '{"by":"Ada"}', "roots.json": noRoots });
    await site.json(["attest", digest, "--type", ownKind, "--predicate", "review.json"]);
    await site.json(["push", `${host}/team/shop:v1`]);
    const { stdout: pem } = await site.bronze(["key", "export"]);
    site.write({ "key.pem": pem });

    const cosign = (
      command: string,
      key: string,
      ...args: readonly string[]
    ): { status: number | null; said: string } => {
      const options = ["--key", key, "--new-bundle-format", "--insecure-ignore-tlog", "--trusted-root", "roots.json"];
      const env = { PATH: process.env["PATH"], HOME: site.state };
      const { status, stdout, stderr } = spawnSync(program, [command, ...options, ...args], {
        cwd: site.project,
        env,
        encoding: "utf8",
      });
      return { status, said: stdout + stderr };
    };
    const image = (name: string, kind: string, key = "key.pem"): ReturnType<typeof cosign> =>
      cosign("verify-attestation", key, "--type", kind, "--allow-http-registry", `${host}/team/${name}`);
    for (const kind of [predicateTypes.signature, predicateTypes.provenance, ownKind]) {
      const { status, said } = image("shop:v1", kind);
      assert.equal(status, 0, said);
      assert.match(said, /signatures were verified against the specified public key/);
    }

    // Another key: that of another machine.
    const other = createSite(t);
    await other.json(["key", "create"]);
    site.write({ "other.pem": (await other.bronze(["key", "export"])).stdout });
    const stranger = image("shop:v1", ownKind, "other.pem");
    assert.notEqual(stranger.status, 0);
    assert.match(stranger.said, /accepted signatures do not match threshold|invalid signature/);

    // The same image elsewhere, with bundles that were tampered with.
    const { bundle } = await bundleOf(site, digest, ownKind);
    const { bundle: signature } = await bundleOf(site, digest, predicateTypes.signature);
    const flipped = Buffer.from(bundle.payload.toString().replace("Ada", "Eva"));
    const tampered = {
      flipped: serialiseBundle(bundle.keyId as KeyId, flipped, bundle.signature),
      swapped: serialiseBundle(bundle.keyId as KeyId, bundle.payload, signature.signature),
    };
    for (const [name, bytes] of Object.entries(tampered)) {
      await pushWith(site, digest, bytes, `${host}/team/${name}:v1`);
      const { status, said } = image(`${name}:v1`, ownKind);
      assert.notEqual(status, 0, said);
      assert.match(said, /accepted signatures do not match threshold|invalid signature/);
    }

    // Without a registry: the files of an OCI layout.
    mkdirSync(join(site.project, "layout"));
    await site.json(["save", digest, "--format", "oci", "--output", "shop.tar"]);
    execFileSync("tar", ["-xf", "shop.tar", "-C", "layout"], { cwd: site.project });
    const blobs = join(site.project, "layout/blobs/sha256");
    const { blob } = await bundleOf(site, digest, predicateTypes.provenance);
    const args = ["--bundle", join(blobs, digestHex(blob)), join(blobs, digestHex(digest))];
    const accepted = cosign("verify-blob-attestation", "key.pem", ...args);
    assert.equal(accepted.status, 0, accepted.said);
    flip(join(blobs, digestHex(digest)));
    assert.notEqual(cosign("verify-blob-attestation", "key.pem", ...args).status, 0);
  },
);

/** Pushes an image with one bundle as all that is said about it. */
async function pushWith(site: Site, digest: Digest, bundle: Buffer, target: string): Promise<void> {
  const store = storeOf(site);
  const manifest = await store.read(digest);
  await store.write(bundle);
  const subject = describe("application/vnd.oci.image.manifest.v1+json", manifest);
  const annotations = { "dev.sigstore.bundle.predicateType": ownKind };
  const referrer = await store.attach(
    serialiseReferrer({ subject, artifactType: bundleType, layers: [describe(bundleType, bundle)], annotations }),
  );
  const registry = createRegistry({
    folder: join(site.state, "downloads"),
    env: {},
    home: "/nonexistent",
    certificates: [],
  });
  const { signal } = new AbortController();
  await registry.push(digest, parseReference(target), store, { signal, referrers: [referrer] });
}

test(
  "`bronze verify` says what holds; its steps hold when a person pastes them, and no socket is opened",
  { timeout: 300_000 },
  async (t) => {
    const site = createSite(t);
    const { digest } = await site.json<Built>(["build"]);
    await site.json(["key", "rotate"]);
    const { status, stdout, stderr } = await site.bronze(["verify"]);
    assert.equal(status, 0, stderr);
    assert.match(
      stdout,
      new RegExp(`ok +https://slsa.dev/provenance/v1 +signed by key [0-9a-f]{12}\n[^]*verified ${digest}\n$`),
    );

    const steps = (await site.bronze(["verify", "shop", "--explain"])).stdout;
    const paste = (): { status: number | null; stdout: string } =>
      spawnSync("sh", ["-e"], { input: steps, encoding: "utf8", env: { PATH: "/usr/bin:/bin", TMPDIR: site.state } });
    const pasted = paste();
    assert.equal(pasted.status, 0, pasted.stdout);
    // Two or more statements, and a log of two entries with three signatures.
    assert.ok((pasted.stdout.match(/^Verified OK$/gm) ?? []).length >= 5, pasted.stdout);

    const trace = join(site.state, "trace");
    execFileSync("strace", [
      "-f",
      "-e",
      "trace=socket,connect",
      "-o",
      trace,
      launcher,
      "verify",
      digest,
      "--state",
      site.state,
    ]);
    assert.doesNotMatch(readFileSync(trace, "utf8"), /socket\(|connect\(/);

    const blobs = join(site.state, "store/blobs/sha256");
    const { blob } = await bundleOf(site, digest, predicateTypes.provenance);
    flip(join(blobs, digestHex(blob)));
    assert.notEqual(paste().status, 0);
  },
);

test(
  "`bronze verify` refuses, by name, a tampered layer, bundle, manifest and key log, and a key that was revoked",
  { timeout: 300_000 },
  async (t) => {
    const site = createSite(t);
    const built = await site.json<Built & { readonly layers: readonly { readonly digest: Digest }[] }>(["build"]);
    const { digest } = built;
    const blobs = join(site.state, "store/blobs/sha256");
    const refused = async (words: RegExp): Promise<void> => {
      const { status, stderr } = await site.bronze(["verify", digest]);
      assert.equal(status, 7, stderr);
      assert.match(stderr, words);
    };
    const during = async (path: string, words: RegExp): Promise<void> => {
      flip(path);
      await refused(words);
      flip(path);
      assert.equal((await site.bronze(["verify", digest])).status, 0);
    };
    const layer = built.layers[0]?.digest as Digest;
    await during(join(blobs, digestHex(layer)), new RegExp(`${layer} was changed: its bytes are sha256:`));
    const { blob } = await bundleOf(site, digest, predicateTypes.provenance);
    await during(
      join(blobs, digestHex(blob)),
      /its provenance is not believed: a bundle .*: its bytes are lost or were changed/,
    );
    await during(join(blobs, digestHex(digest)), new RegExp(`the bytes given as ${digest}: they are sha256:`));
    await during(join(site.state, "keys/log.jsonl"), /Cannot trust the key log .*: entry 0: /);

    const { keys } = await site.json<{ readonly keys: readonly { readonly id: string }[] }>(["key", "list"]);
    await site.json(["key", "revoke", keys[0]?.id ?? "", "--reason", "stolen", "--nothing-stands"]);
    await refused(/its key was revoked at .* \(stolen\), and it is not among what stood then/);
    await site.json(["build"]);
    assert.equal((await site.bronze(["verify", digest])).status, 0);
  },
);

test("a step of a build cannot read the key that will sign what it builds", { timeout: 300_000 }, async (t) => {
  const site = createSite(t);
  await site.json(["key", "create"]);
  const [name = ""] = readdirSync(join(site.state, "keys/signing"));
  const key = join(site.state, "keys/signing", name);
  const tries = [
    `$b cat ${key}`,
    `$b cat /proc/1/root${key}`,
    `$b cat /../../..${key}`,
    "$b find / -xdev -name '*.key' -exec $b cat {} +",
    "for fd in /proc/[0-9]*/fd/*; do $b timeout 1 $b head -c 400 $fd; done",
    "$b cat /proc/[0-9]*/environ",
  ];
  const script = `b=/bin/busybox; { ${tries.join("; ")}; } > /found 2>&1; true`;
  site.write({
    Dockerfile: [
      "FROM scratch",
      "COPY root/ /",
      `RUN ["/bin/busybox", "sh", "-c", ${JSON.stringify(script)}]`,
      "",
    ].join("\n"),
  });
  const { digest, layers } = await site.json<Built & { readonly layers: readonly { readonly digest: Digest }[] }>([
    "build",
  ]);
  const made = readFileSync(join(site.state, "store/blobs/sha256", digestHex(layers.at(-1)?.digest as Digest)));
  const secret = readFileSync(key, "utf8").split("\n")[1] ?? "";
  assert.ok(secret.length > 20);
  assert.match(made.toString("latin1"), /can't open '[^']*\.key'|No such file/);
  for (const words of [secret, "PRIVATE KEY"]) assert.ok(!made.toString("latin1").includes(words));
  assert.equal((await site.bronze(["verify", digest])).status, 0);
  assert.equal(sha256(made), layers.at(-1)?.digest);
});
