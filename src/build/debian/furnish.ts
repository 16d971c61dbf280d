import { toBytePath, type BytePath } from "../../image/tar-entry.ts";

/** What a root needs besides the files of its packages. */
export interface FurnishInput {
  readonly suite: string;
  /** Whether a path is in the root already. */
  readonly has: (path: BytePath) => boolean;
  /** Paths directly and deeper in a folder of the packages. */
  readonly under: (folder: BytePath) => readonly BytePath[];
  readonly read: (path: BytePath) => string;
  /** For scanners, by package: its control fields and check sums. */
  readonly packages: readonly {
    readonly name: string;
    readonly control: string;
    readonly md5sums: string | undefined;
  }[];
}

/** A file to add; texts are bytes, one character a byte. */
export type FurnishedFile =
  | { readonly kind: "directory"; readonly path: BytePath; readonly mode: number; readonly uid?: number }
  | { readonly kind: "file"; readonly path: BytePath; readonly text: string }
  | { readonly kind: "symlink"; readonly path: BytePath; readonly target: string };

const folders =
  "dev etc home opt proc run srv sys usr/bin usr/lib usr/sbin var/cache var/lib/dpkg/status.d var/log".split(" ");
/** Bound over at run time, so they must be there; a machine's own never belong into an image. */
const emptyFiles = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];
const versions: { readonly [suite: string]: string } = { bullseye: "11", bookworm: "12", trixie: "13", forky: "14" };
const bundle = "etc/ssl/certs/ca-certificates.crt";

const passwd = `root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
`;
const group = "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n";

/**
 * What maintainer scripts would have made and every program expects: the merged /usr, users, CA bundle, name service
 * switch, release file, and what scanners read of packages. Later entries replace those of packages at the same path.
 */
export function furnish(input: FurnishInput): readonly FurnishedFile[] {
  const files: FurnishedFile[] = folders.map((path) => ({ kind: "directory", path, mode: 0o755 }));
  files.push(
    { kind: "directory", path: "root", mode: 0o700 },
    { kind: "directory", path: "tmp", mode: 0o1777 },
    { kind: "directory", path: "var/tmp", mode: 0o1777 },
    { kind: "directory", path: "home/nonroot", mode: 0o700, uid: 65532 },
  );
  for (const name of ["bin", "sbin", "lib"]) files.push({ kind: "symlink", path: name, target: `usr/${name}` });
  for (const name of ["lib32", "lib64", "libx32"])
    if (input.has(`usr/${name}`)) files.push({ kind: "symlink", path: name, target: `usr/${name}` });
  if (!input.has("var/run")) files.push({ kind: "symlink", path: "var/run", target: "/run" });
  for (const path of emptyFiles) files.push({ kind: "file", path, text: "" });
  const ifAbsent = (path: BytePath, text: string): void => {
    if (!input.has(path)) files.push({ kind: "file", path, text });
  };
  ifAbsent("etc/passwd", passwd);
  ifAbsent("etc/group", group);
  ifAbsent("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  ifAbsent("etc/os-release", osRelease(input.suite));
  const certificates = input
    .under("usr/share/ca-certificates/mozilla")
    .filter((path) => path.endsWith(".crt"))
    .sort();
  if (certificates.length > 0) {
    const text = certificates.map((path) => `${input.read(path).trimEnd()}\n`).join("");
    files.push({ kind: "file", path: bundle, text });
    // Where OpenSSL looks without being told. @see openssl-env(7), SSL_CERT_FILE
    if (!input.has("usr/lib/ssl/cert.pem"))
      files.push({ kind: "symlink", path: "usr/lib/ssl/cert.pem", target: `/${bundle}` });
  }
  for (const { name, control, md5sums } of input.packages) {
    const path = `var/lib/dpkg/status.d/${name}`;
    files.push({ kind: "file", path, text: installed(control) });
    if (md5sums !== undefined) files.push({ kind: "file", path: `${path}.md5sums`, text: md5sums });
  }
  return files;
}

/** Control fields as dpkg's status has them: with the state after the name. */
function installed(control: string): string {
  return `${control.trim().replace(/^(Package: .*)$/m, "$1\nStatus: install ok installed")}\n`;
}

function osRelease(suite: string): string {
  const version = versions[suite];
  const number = version === undefined ? "" : `VERSION_ID="${version}"\n`;
  return toBytePath(
    `PRETTY_NAME="Debian GNU/Linux ${version ?? suite}"\nNAME="Debian GNU/Linux"\n${number}VERSION_CODENAME=${suite}\nID=debian\n`,
  );
}
