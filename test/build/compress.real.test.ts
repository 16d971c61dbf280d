import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createSite, get } from "../support/bronze.ts";

interface Built {
  readonly digest: string;
  readonly layers: readonly { readonly mediaType: string }[];
}

test("An artifact of compressed layers has the content of a plain one, goes live, and skopeo reads it", async (t) => {
  const site = createSite(t);
  site.define({ instances: 1 });
  const plain = await site.json<Built>(["build"]);
  const digests = new Set<string>([plain.digest]);
  const diffIds = async ({ digest }: Built): Promise<string> => {
    const folder = join(site.state, "seen");
    mkdirSync(folder);
    await site.json(["save", digest, "--format", "oci", "-o", join(folder, "image.tar")]);
    const config = execFileSync("skopeo", ["inspect", "--config", `oci-archive:${folder}/image.tar`], {
      encoding: "utf8",
    });
    execFileSync("skopeo", ["copy", "--quiet", `oci-archive:${folder}/image.tar`, `dir:${folder}/unpacked`]);
    rmSync(folder, { recursive: true });
    return (JSON.parse(config) as { rootfs: { diff_ids: readonly string[] } }).rootfs.diff_ids.join();
  };
  for (const compress of ["zstd", "gzip"]) {
    site.write({
      "bronze.yaml": `app: shop\nbuild: { dockerfile: Dockerfile, compress: ${compress} }\nrun: { port: 8080 }\nenvironments: { production: { instances: 1 } }\n`,
    });
    const built = await site.json<Built>(["build"]);
    assert.deepEqual(
      built.layers.map(({ mediaType }) => mediaType.split("+")[1]),
      plain.layers.map(() => compress),
    );
    assert.equal(await diffIds(built), await diffIds(plain));
    digests.add(built.digest);
    const { url } = await site.json<{ url: string }>(["up", "--http-port", "0"]);
    assert.match((await get(url)).body, /v1/);
  }
  assert.equal(digests.size, 3);
});
