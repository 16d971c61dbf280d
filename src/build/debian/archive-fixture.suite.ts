import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** A package to be made. */
export interface PackageSpec {
  readonly name: string;
  readonly version?: string;
  /** More control fields: `Depends`, `Recommends`, `Replaces`, `Source`. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Texts by path; `-> TARGET` makes a symlink, `= PATH` another name of an earlier file. */
  readonly files?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  /** What the file is in truth. */
  readonly bytes?: Buffer;
}

/** An archive of packages like Debian's, signed by a key of its own and served on loopback. */
export interface TestArchive {
  /** Makes the packages of a release, its indices and their signature. */
  publish(release: "bookworm" | "bookworm-updates" | "bookworm-security", packages: readonly PackageSpec[]): void;
  /** A file of the archive, by its path: `debian/dists/bookworm/InRelease`. */
  path(name: string): string;
  /** The .deb of a package. */
  deb(name: string): string;
  /** Paths that were asked for so far. */
  readonly requests: string[];
  /** Those of which only a rest was asked for. */
  readonly resumed: string[];
  /** Variables that make apt use this archive and nothing of the machine's configuration. */
  readonly env: Readonly<Record<string, string>>;
  /** Nothing answers any more. */
  stop(): Promise<void>;
}

/** The time that the archive's files and indices carry: 2024-03-01. */
const time = 1_709_251_200;

export async function createTestArchive(t: Pick<TestContext, "after">): Promise<TestArchive> {
  const folder = mkdtempSync(join(tmpdir(), "bzdeb-"));
  // apt's methods are another user, who has to read the keyring.
  chmodSync(folder, 0o755);
  const keys = join(folder, "keys");
  const gpg = (...args: readonly string[]): Buffer =>
    execFileSync("gpg", ["--homedir", keys, "--batch", "--quiet", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  mkdirSync(keys, { mode: 0o700 });
  const requests: string[] = [];
  const resumed: string[] = [];
  const server = createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    requests.push(name);
    try {
      const whole = readFileSync(join(folder, "served", name));
      const from = Number(/^bytes=([0-9]+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const bytes = whole.subarray(from);
      if (from > 0) {
        resumed.push(name);
        response.setHeader("content-range", `bytes ${from}-${whole.byteLength - 1}/${whole.byteLength}`);
      }
      response.setHeader("last-modified", new Date(time * 1000).toUTCString());
      response.writeHead(from > 0 ? 206 : 200, { "content-length": bytes.byteLength }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  t.after(async () => {
    await stop();
    execFileSync("gpgconf", ["--homedir", keys, "--kill", "all"], { stdio: "ignore" });
    rmSync(folder, { recursive: true, force: true });
  });
  gpg("--passphrase", "", "--quick-generate-key", "Test Archive <archive@example.org>", "ed25519", "sign", "never");
  writeFileSync(join(folder, "archive.gpg"), gpg("--export"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const signed = `[signed-by=${join(folder, "archive.gpg")}]`;
  writeFileSync(
    join(folder, "sources.list"),
    `deb ${signed} ${uri}/debian bookworm main\ndeb ${signed} ${uri}/debian bookworm-updates main\ndeb ${signed} ${uri}/debian-security bookworm-security main\n`,
  );
  writeFileSync(
    join(folder, "apt.conf"),
    `Dir::Etc::main "/dev/null";\nDir::Etc::parts "/dev/null";\nDir::Etc::sourcelist "${folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n`,
  );
  const path = (name: string): string => join(folder, "served", name);
  const debs = new Map<string, string>();
  const archive: TestArchive = {
    path,
    requests,
    resumed,
    stop,
    env: { APT_CONFIG: join(folder, "apt.conf"), no_proxy: "127.0.0.1" },
    deb: (name) => debs.get(name) ?? "",
    publish(release, packages) {
      const top = release.endsWith("-security") ? "debian-security" : "debian";
      const stanzas = packages.map((spec) => {
        const { control, deb } = makePackage(spec, join(folder, "work"), path(`${top}/pool/main`));
        if (spec.bytes !== undefined) writeFileSync(deb, spec.bytes);
        debs.set(spec.name, deb);
        const bytes = readFileSync(deb);
        return `${control}Filename: pool/main/${basename(deb)}\nSize: ${bytes.byteLength}\nSHA256: ${sha256(bytes)}\n`;
      });
      const dists = path(`${top}/dists/${release}`);
      const index = join(dists, `main/binary-${architecture}/Packages`);
      mkdirSync(dirname(index), { recursive: true });
      writeFileSync(index, stanzas.join("\n"));
      const bytes = readFileSync(index);
      const text = [
        "Origin: Debian",
        "Label: Debian",
        `Suite: ${release}`,
        `Codename: ${release}`,
        `Date: ${new Date(time * 1000).toUTCString()}`,
        `Architectures: ${architecture}`,
        "Components: main",
        "SHA256:",
        ` ${sha256(bytes)} ${bytes.byteLength} main/binary-${architecture}/Packages`,
        "",
      ].join("\n");
      writeFileSync(join(folder, "Release"), text);
      rmSync(join(dists, "InRelease"), { force: true });
      gpg("--output", join(dists, "InRelease"), "--clearsign", join(folder, "Release"));
    },
  };
  for (const release of ["bookworm", "bookworm-updates", "bookworm-security"] as const) archive.publish(release, []);
  return archive;
}

const architecture = process.arch === "x64" ? "amd64" : process.arch;

function makePackage(
  spec: PackageSpec,
  work: string,
  pool: string,
): { readonly control: string; readonly deb: string } {
  const { name, version = "1.0", fields = {}, files = {}, scripts = {} } = spec;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, "DEBIAN"), { recursive: true });
  mkdirSync(pool, { recursive: true });
  const given = Object.entries({ Architecture: architecture, ...fields }).map(([key, value]) => `${key}: ${value}\n`);
  const control = `Package: ${name}\nVersion: ${version}\n${given.join("")}Maintainer: Test <test@example.org>\nDescription: ${name} of a test\n`;
  writeFileSync(join(work, "DEBIAN/control"), control);
  for (const [script, text] of Object.entries(scripts))
    writeFileSync(join(work, "DEBIAN", script), text, { mode: 0o755 });
  const copyright = `usr/share/doc/${name}/copyright`;
  for (const [path, text] of Object.entries({
    [copyright]: "free\n",
    [`usr/share/doc/${name}/README`]: "\n",
    ...files,
  })) {
    const file = join(work, path);
    mkdirSync(dirname(file), { recursive: true });
    if (text.startsWith("-> ")) symlinkSync(text.slice(3), file);
    else if (text.startsWith("= ")) linkSync(join(work, text.slice(2)), file);
    else {
      writeFileSync(file, text);
      chmodSync(file, /(^|\/)s?bin\//.test(path) ? 0o755 : 0o644);
    }
  }
  const deb = join(pool, `${name}_${version}_${architecture}.deb`);
  execFileSync("dpkg-deb", ["--root-owner-group", "-Zxz", "-z1", "--build", work, deb], {
    stdio: "ignore",
    env: { ...process.env, SOURCE_DATE_EPOCH: String(time) },
  });
  if (statSync(deb).size === 0) throw new Error(`dpkg-deb made nothing of ${name}`);
  return { control, deb };
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
