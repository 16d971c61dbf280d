import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { LedgerEvent } from "../../src/ledger/event.ts";
import { createSite, get, type DeployResult, type Site } from "../support/bronze.ts";

const signatureType = "https://sigstore.dev/cosign/sign/v1";
const provenanceType = "https://slsa.dev/provenance/v1";
const sbomType = "https://cyclonedx.org/bom";

/** Changes bytes of a file behind everybody's back, and gives the way to put them back. */
function swap(path: string, bytes: (was: Buffer) => Uint8Array): () => void {
  const was = readFileSync(path);
  const put = (now: Uint8Array): void => {
    rmSync(path);
    writeFileSync(path, now, { mode: 0o444 });
  };
  put(bytes(was));
  return () => put(was);
}

const flipped =
  (at: number) =>
  (was: Buffer): Uint8Array => {
    const now = Buffer.from(was);
    now[at] = (now[at] ?? 0) ^ 0x01;
    return now;
  };

const blobOf = (site: Site, digest: string): string =>
  join(site.state, "store/blobs/sha256", digest.slice("sha256:".length));

interface Parts {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly mediaType: string; readonly size: number }[];
  readonly annotations?: Readonly<Record<string, string>>;
}
const read = (site: Site, digest: string): Parts => JSON.parse(readFileSync(blobOf(site, digest), "utf8")) as Parts;

/** Manifests of what is said about an artifact, by kind. */
function evidenceOf(site: Site, artifact: string): ReadonlyMap<string, string> {
  const folder = join(site.state, "store/referrers", artifact.slice("sha256:".length));
  return new Map(
    readdirSync(folder).map((hex) => {
      const digest = `sha256:${hex}`;
      return [read(site, digest).annotations?.["dev.sigstore.bundle.predicateType"] ?? hex, digest] as const;
    }),
  );
}

const kinds = async (site: Site): Promise<readonly string[]> =>
  (await site.json<readonly LedgerEvent[]>(["history"])).map(({ data }) => data.kind);

async function refused(site: Site, args: readonly string[], status: number, reason: RegExp): Promise<void> {
  const result = await site.bronze(args);
  assert.equal(result.status, status, `${args.join(" ")}: ${result.stdout}${result.stderr}`);
  assert.match(result.stderr, reason);
}

/** v1 is live; of a second content there is only the artifact. */
async function oneLive(t: TestContext): Promise<{ site: Site; url: string; artifact: string }> {
  const site = createSite(t);
  site.define({ instances: 1, environment: ["rollback: { watch: 0s }"] });
  const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
  site.write({ "root/www/index.html": "v2\n" });
  const { digest } = await site.json<{ digest: string }>(["build"]);
  return { site, url, artifact: digest };
}

test(
  "nothing whose bytes, signature, provenance or keys were tampered with is started, and each is named",
  {
    timeout: 180_000,
  },
  async (t) => {
    const { site, url, artifact } = await oneLive(t);
    const evidence = evidenceOf(site, artifact);
    const bundleOf = (kind: string): string => read(site, evidence.get(kind) ?? "").layers[0]?.digest ?? "";
    const keyLog = join(site.state, "keys/log.jsonl");
    const attacks: readonly (readonly [string, string, RegExp])[] = [
      ["manifest", blobOf(site, artifact), /VERIFICATION_FAILED.*bytes/s],
      ["config", blobOf(site, read(site, artifact).config.digest), /VERIFICATION_FAILED.*bytes/s],
      ["signature", blobOf(site, bundleOf(signatureType)), /ARTIFACT_UNVERIFIED.*its signature is not believed/s],
      ["provenance", blobOf(site, bundleOf(provenanceType)), /ARTIFACT_UNVERIFIED.*its provenance is not believed/s],
      ["SBOM", blobOf(site, bundleOf(sbomType)), /ARTIFACT_UNVERIFIED.*its bill of materials is not believed/s],
      ["provenance's manifest", blobOf(site, evidence.get(provenanceType) ?? ""), /provenance|VERIFICATION_FAILED/],
      ["key log", keyLog, /ARTIFACT_UNVERIFIED.*Cannot trust the key log.*entry 0/s],
    ];
    for (const [what, path, reason] of attacks) {
      const restore = swap(path, flipped(200));
      await refused(site, ["deploy", artifact], 7, reason).catch((error: unknown) => {
        throw new Error(`tampered ${what}`, { cause: error });
      });
      restore();
    }
    // A layer's bytes are looked at when they are to be mounted: between check and start there is nothing to swap.
    const layer = blobOf(site, read(site, artifact).layers.at(-1)?.digest ?? "");
    const other = blobOf(site, read(site, (await site.releases())[0]?.artifact ?? "").layers.at(-1)?.digest ?? "");
    const restore = swap(layer, () => readFileSync(other));
    await refused(site, ["deploy", artifact], 7, /VERIFICATION_FAILED/);
    restore();
    assert.equal((await get(url)).body, "v1\n");
    const { instances } = await site.status();
    assert.deepEqual(
      instances.map(({ release }) => release),
      [1],
    );
    // Attempts that come so far take a number.
    assert.equal((await kinds(site)).filter((kind) => kind === "release.refused").length >= 4, true);
    const { release } = await site.json<DeployResult>(["deploy", artifact]);
    assert.equal(release, (await site.releases()).length);
    assert.equal((await get(url)).body, "v2\n");
  },
);

test(
  "provenance with a parameter that nobody knows, or about another artifact, counts for nothing",
  {
    timeout: 120_000,
  },
  async (t) => {
    const { site, artifact } = await oneLive(t);
    const provenance = evidenceOf(site, artifact).get(provenanceType) ?? "";
    const bundle = JSON.parse(readFileSync(blobOf(site, read(site, provenance).layers[0]?.digest ?? ""), "utf8")) as {
      readonly dsseEnvelope: { readonly payload: string };
    };
    const { predicate } = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString()) as {
      readonly predicate: {
        readonly buildDefinition: { readonly externalParameters: Readonly<Record<string, string>> };
      };
    };
    const listed = join(
      site.state,
      "store/referrers",
      artifact.slice("sha256:".length),
      provenance.slice("sha256:".length),
    );
    rmSync(listed);
    await refused(site, ["deploy", artifact], 7, /it has no provenance/);
    // Signed by the machine's own key, as a build step that got hold of it might.
    const { buildDefinition } = predicate;
    const externalParameters = { ...buildDefinition.externalParameters, backdoor: "open" };
    site.write({
      "lie.json": JSON.stringify({ ...predicate, buildDefinition: { ...buildDefinition, externalParameters } }),
      "true.json": JSON.stringify(predicate),
    });
    const attest = ["--type", provenanceType, "--predicate"];
    await site.json(["attest", artifact, ...attest, "lie.json"]);
    await refused(site, ["deploy", artifact], 7, /unknown external parameter "backdoor"/);
    await site.json(["attest", (await site.releases())[0]?.artifact ?? "", ...attest, "true.json"]);
    await refused(site, ["deploy", artifact], 7, /unknown external parameter "backdoor"/);
    await site.json(["attest", artifact, ...attest, "true.json"]);
    await site.json<DeployResult>(["deploy", artifact]);
  },
);

test(
  "an image that was brought here is imported whatever it says of itself: warned of, refused where that is wanted",
  {
    timeout: 120_000,
  },
  async (t) => {
    const { site, artifact } = await oneLive(t);
    // Another name for the same files, with all that Bronze writes into a manifest, and no evidence.
    const copy = copyAsLayout(site, artifact);
    const { digest } = await site.json<{ digest: string }>(["import", copy, "--name", "other:1"]);
    assert.notEqual(digest, artifact);
    const warned = await site.bronze(["deploy", digest]);
    assert.equal(warned.status, 0, warned.stderr);
    assert.match(warned.stderr, /warning: artifact sha256:\w+ is not verified: it has no signature/);
    const status = await site.bronze(["status"]);
    assert.match(status.stdout, /warning: v2 is not verified: it has no signature/);
    site.define({ instances: 1, environment: ["rollback: { watch: 0s }", "trust: enforce"] });
    const before = await site.releases();
    await refused(site, ["deploy", digest], 7, /hint: .*`bronze attest`.*`trust: warn`/s);
    assert.equal((await site.releases()).length, before.length + 1);
    await site.json(["attest", digest]);
    assert.equal((await site.bronze(["deploy", digest])).status, 0);
    assert.doesNotMatch((await site.bronze(["status"])).stdout, /not verified/);
  },
);

test("an artifact is verified without a socket", { timeout: 60_000 }, async (t) => {
  const site = createSite(t);
  const { digest } = await site.json<{ digest: string }>(["build"]);
  const script = join(import.meta.dirname, "../support/verify-artifact.ts");
  const log = join(site.state, "sockets");
  const strace = ["-f", "-qq", "-e", "trace=%network", "-e", "signal=none", "-o", log, "--"];
  const said = execFileSync("strace", [...strace, process.execPath, script, site.state, digest], { encoding: "utf8" });
  assert.deepEqual(JSON.parse(said), { origin: "built", reasons: [] });
  const calls = readFileSync(log, "utf8").split("\n");
  assert.deepEqual(
    calls.filter((line) => /AF_INET|connect\(|AF_NETLINK/.test(line)),
    [],
  );
});

/** An OCI layout with an artifact's config and layers under a manifest of its own. */
function copyAsLayout(site: Site, artifact: string): string {
  const folder = join(site.project, "layout");
  const blobs = join(folder, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const manifest = read(site, artifact);
  const put = (bytes: string | Buffer): { digest: string; size: number } => {
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: Buffer.byteLength(bytes) };
  };
  for (const { digest } of [manifest.config, ...manifest.layers]) put(readFileSync(blobOf(site, digest)));
  const annotations = { ...manifest.annotations, "bronze.copy": "true" };
  const descriptor = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    ...put(JSON.stringify({ ...manifest, annotations })),
  };
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  chmodSync(folder, 0o755);
  return folder;
}
