import { chmodSync, copyFileSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import type { TarSource } from "../../image/tar-write.ts";
import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import { runCommand } from "../command.ts";
import { memberSources, type Placed } from "./compose.ts";
import { withoutLinks } from "./merge.ts";
import type { DebianPins, PackageRequest, PinnedPackage } from "./pins.ts";
import { readArchive, withUnpacked, type PackageMember, type Spool } from "./unpack.ts";

export interface FullRootOptions {
  readonly pathOf: (item: PinnedPackage) => string;
  /** An empty folder. */
  readonly dir: string;
  readonly spool: Spool;
  /** The latest time of anything in the root, whole seconds since the epoch. */
  readonly epoch: number;
  readonly signal: AbortSignal;
}

/**
 * Maintainer scripts see no network, no other process and not this machine's name, and end with whoever started them, also
 * when that is killed. util-linux has no program that sets the name of a new UTS namespace; Perl is essential in Debian.
 */
const apart = [
  ..."--pdeathsig KILL unshare --pid --fork --kill-child --mount-proc --net --uts --ipc -- perl -e".split(" "),
  'system("hostname", shift @ARGV) == 0 or exit 1; exec { $ARGV[0] } @ARGV; exit 127',
  "bronze",
];

/** The status of what starts a program that is not there. */
const notFound = 127;

/** As Debian's own images for containers are: licences stay, other documentation and translations do not come in. */
const excluded = [
  ...["doc", "groff", "info", "linda", "lintian", "locale", "man"].map((name) => `path-exclude=/usr/share/${name}/*`),
  "path-include=/usr/share/doc/*/copyright",
];

/**
 * A whole Debian system of pinned packages, installed by dpkg with its maintainer scripts, as members of a layer. apt sees
 * nothing but those packages; nothing comes from the network.
 *
 * @throws {OperatorError} `BUILD_FAILED` with the last words of a script that fails, `VERIFICATION_FAILED`, `MACHINE_LACKS`
 */
export async function fullRoot(
  request: PackageRequest,
  pins: DebianPins,
  options: FullRootOptions,
): Promise<readonly TarSource[]> {
  const { dir, spool, epoch, signal } = options;
  const repository = join(dir, "repository");
  mkdirSync(repository);
  chmodSync(repository, 0o755);
  await writeRepository(repository, pins, options);
  const { status, stderr } = await runCommand(
    "setpriv",
    [
      ...apart,
      "mmdebstrap",
      "--mode=root",
      // Nothing but what is named: the solver has done its work already.
      "--variant=apt",
      "--format=tar",
      "--quiet",
      `--architectures=${request.architecture}`,
      `--include=${pins.packages.map(({ name }) => name).join(",")}`,
      '--aptopt=APT::Install-Recommends "false"',
      ...excluded.map((line) => `--dpkgopt=${line}`),
      "--dpkgopt=force-unsafe-io",
      request.suite,
      "-",
      `deb [trusted=yes] copy://${encodeURI(repository)} ./`,
    ],
    {
      signal,
      timeoutMs: 30 * 60_000,
      cwd: dir,
      stdoutTo: spool,
      name: "mmdebstrap",
      umask: 0o022,
      env: { TMPDIR: dir, SOURCE_DATE_EPOCH: String(epoch), TZ: "UTC", DEBIAN_FRONTEND: "noninteractive" },
    },
  );
  if (status === notFound)
    throw new OperatorError("MACHINE_LACKS", "Cannot run mmdebstrap: it is not installed", {
      hint: "install it with apt-get install mmdebstrap; bronze doctor lists what is needed",
    });
  if (status !== 0)
    throw new OperatorError(
      "BUILD_FAILED",
      `Cannot install Debian ${request.suite} with ${request.packages.join(", ")}: mmdebstrap ended with status ${status}`,
      {
        hint: "the cause holds the last lines of apt, dpkg and the maintainer scripts",
        cause: stderr.trim().split("\n").slice(-20).join("\n"),
      },
    );
  return await readRoot(request.suite, spool, epoch);
}

/** An archive of the pinned packages, as apt reads it from a folder. */
async function writeRepository(folder: string, pins: DebianPins, options: FullRootOptions): Promise<void> {
  const { pathOf, dir, signal } = options;
  const index = await withUnpacked(pins.packages, { pathOf, dir, signal, parts: "control" }, (unpacked) =>
    Promise.resolve(
      unpacked.map(({ pin, control }) => {
        const name = `${pin.sha256}.deb`;
        place(pathOf(pin), join(folder, name));
        return `${(control.get("control") ?? "").trim()}\nFilename: ./${name}\nSize: ${pin.sizeBytes}\nSHA256: ${pin.sha256}\n`;
      }),
    ),
  );
  writeFileSync(join(folder, "Packages"), index.join("\n"), { encoding: "latin1", mode: 0o644 });
}

/** Another name of a file, or a copy where the cache is on another file system. */
function place(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    copyFileSync(from, to);
  }
}

/** What differs from one installation to the next, tells of this machine or is only of use to it. */
const traces: readonly RegExp[] = [
  /^(dev|proc|sys|run|tmp|var\/tmp)\/./,
  /^etc\/(hostname|hosts|resolv\.conf|machine-id|\.pwd\.lock|(passwd|group|shadow|gshadow|subuid|subgid)-)$/,
  /^etc\/apt\/(sources\.list(\.d\/.*)?|apt\.conf\.d\/99mmdebstrap)$/,
  // Keys that were made just now: every copy of the image would share them.
  /^etc\/(ssl\/private\/ssl-cert-snakeoil\.key|ssl\/certs\/ssl-cert-snakeoil\.pem|ssh\/ssh_host_.*)$/,
  /^var\/lib\/(dbus\/machine-id|systemd\/(random-seed|credential\.secret))$/,
  /^var\/lib\/dpkg\/(.*-old|lock|lock-frontend|triggers\/Lock|updates\/.*)$/,
  /^var\/(cache\/apt\/archives|lib\/apt\/lists)\/partial$/,
  /^var\/cache\/debconf\/.*-old$/,
  /(^|\/)__pycache__(\/|$)/,
];
/** Of these folders only the folders stay; apt makes its own `partial` again. */
const emptied = /^var\/(log|cache\/(apt|ldconfig|man)|lib\/apt\/lists)\//;

async function readRoot(suite: string, spool: Spool, epoch: number): Promise<readonly TarSource[]> {
  const placed = new Map<BytePath, Placed>();
  const members: PackageMember[] = [];
  await readArchive(spool, 0, ({ entry, offset }) => void members.push({ entry, spool, offset }));
  for (const { entry, member } of withoutLinks(members)) {
    const { path, kind } = entry;
    if (path === "" || kind === "character" || kind === "block" || kind === "fifo") continue;
    if (traces.some((trace) => trace.test(path)) || (emptied.test(path) && kind !== "directory")) continue;
    placed.set(path, { entry, owner: suite, member });
  }
  const made: readonly (readonly [path: string, text: string, mode: number])[] = [
    ["etc/hostname", "", 0o644],
    ["etc/hosts", "", 0o644],
    ["etc/resolv.conf", "", 0o644],
    ["etc/apt/sources.list", ownSources(suite), 0o644],
    // Packages that RUN steps install must not start services.
    ["usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755],
  ];
  const files = made.map(([path, text, mode]): TarSource => {
    const bytes = Buffer.from(toBytePath(text), "latin1");
    const entry = {
      path,
      kind: "file",
      mode,
      uid: 0,
      gid: 0,
      mtime: epoch,
      size: bytes.byteLength,
      target: "",
    } as const;
    return { entry, content: () => [bytes] };
  });
  return memberSources(placed, { epoch, folderTime: epoch, more: files });
}

function ownSources(suite: string): string {
  const signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
  const line = (release: string, archive: string): string =>
    `deb ${signed} http://deb.debian.org/${archive} ${release} main\n`;
  const first = line(suite, "debian");
  if (suite === "sid") return first;
  return `${first}${line(`${suite}-updates`, "debian")}${line(`${suite}-security`, "debian-security")}`;
}
