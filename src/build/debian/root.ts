import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  lstatSync,
} from "node:fs";
import { join } from "node:path";

/** What has no place in an image: traces of this machine, of the time of building, and what no program reads. */
const unwanted = [
  "etc/apt",
  "etc/dpkg",
  "etc/fstab",
  "etc/hostname",
  "etc/hosts",
  "etc/resolv.conf",
  "etc/machine-id",
  "etc/.pwd.lock",
  "etc/ld.so.cache",
  "var/cache",
  "var/log",
  "var/lib/apt",
  "var/lib/dpkg",
  "var/lib/systemd",
  "run",
  "tmp",
  "dev",
  "proc",
  "sys",
  "usr/share/man",
  "usr/share/info",
  "usr/share/locale",
  "usr/share/lintian",
  "usr/share/bug",
  "usr/share/doc-base",
];
const folders = [
  "dev",
  "etc",
  "home",
  "opt",
  "proc",
  "root",
  "run",
  "srv",
  "sys",
  "tmp",
  "usr/bin",
  "var/cache",
  "var/lib/dpkg/status.d",
  "var/log",
  "var/tmp",
];
/** Bound over at run time, so they must be there. */
const emptyFiles = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** The package's control fields. */
  readonly control: string;
}

const versions: { readonly [suite: string]: string } = { bullseye: "11", bookworm: "12", trixie: "13", forky: "14" };

/** Turns extracted packages into a root that programs can run in, without running anything of it. */
export function finishRoot(root: string, suite: string, packages: readonly DebianPackage[]): void {
  for (const path of unwanted) rmSync(join(root, path), { recursive: true, force: true });
  keepOnlyCopyright(join(root, "usr/share/doc"));
  removeBytecode(join(root, "usr"));
  for (const path of folders) mkdirSync(join(root, path), { recursive: true });
  for (const path of emptyFiles) writeFileSync(join(root, path), "");
  writeFileSync(
    join(root, "etc/passwd"),
    "root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin\n",
  );
  writeFileSync(join(root, "etc/group"), "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n");
  writeIfAbsent(join(root, "etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n");
  mkdirSync(join(root, "home/nonroot"), { recursive: true });
  const version = versions[suite];
  writeIfAbsent(
    join(root, "etc/os-release"),
    `PRETTY_NAME="Debian GNU/Linux ${version ?? suite}"\nNAME="Debian GNU/Linux"\n${version === undefined ? "" : `VERSION_ID="${version}"\n`}VERSION_CODENAME=${suite}\nID=debian\n`,
  );
  writeCertificates(root);
  for (const { name, control } of packages)
    writeFileSync(join(root, "var/lib/dpkg/status.d", name), `${control.trimEnd()}\n`);
}

/** The licence of each package stays; the rest of its documentation goes. */
function keepOnlyCopyright(docs: string): void {
  if (!existsSync(docs)) return;
  for (const name of readdirSync(docs)) {
    const folder = join(docs, name);
    if (!lstatSync(folder).isDirectory()) continue;
    for (const file of readdirSync(folder))
      if (file !== "copyright") rmSync(join(folder, file), { recursive: true, force: true });
  }
}

function removeBytecode(folder: string): void {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    if (!item.isDirectory()) continue;
    const path = join(folder, item.name);
    if (item.name === "__pycache__") rmSync(path, { recursive: true, force: true });
    else removeBytecode(path);
  }
}

/** Does what the maintainer script of ca-certificates would. */
function writeCertificates(root: string): void {
  const source = join(root, "usr/share/ca-certificates/mozilla");
  if (!existsSync(source)) return;
  const bundle = readdirSync(source)
    .filter((name) => name.endsWith(".crt"))
    .sort()
    .map((name) => `${readFileSync(join(source, name), "utf8").trimEnd()}\n`);
  mkdirSync(join(root, "etc/ssl/certs"), { recursive: true });
  writeFileSync(join(root, "etc/ssl/certs/ca-certificates.crt"), bundle.join(""));
}

/** A dangling symlink counts as there: writing through it could leave the root. */
function writeIfAbsent(path: string, text: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) writeFileSync(path, text);
}

/** Folders of the merged /usr, before anything is extracted. */
export function mergeUsr(root: string, architecture: string): void {
  for (const name of architecture === "amd64" ? ["bin", "sbin", "lib", "lib64"] : ["bin", "sbin", "lib"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
}
