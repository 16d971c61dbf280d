import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Kept with what npm installed: fetched once for a checkout. */
const cache = join(import.meta.dirname, "../../node_modules/.cache/bronze-tests");

/**
 * Debian trixie's cosign, unmodified: fetched and unpacked beside the machine's packages, by an apt that knows trixie alone.
 *
 * @returns path of the program
 */
export function fetchCosign(): string {
  const program = join(cache, "cosign/usr/bin/cosign");
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const dir = mkdtempSync(join(cache, "fetch-"));
  try {
    for (const name of ["lists/partial", "archives/partial", "none"]) mkdirSync(join(dir, name), { recursive: true });
    const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    writeFileSync(join(dir, "sources.list"), `deb [signed-by=${keyring}] http://deb.debian.org/debian trixie main\n`);
    writeFileSync(join(dir, "status"), "");
    const settings = {
      "Dir::Etc::sourcelist": join(dir, "sources.list"),
      "Dir::Etc::sourceparts": join(dir, "none"),
      "Dir::State::lists": join(dir, "lists"),
      "Dir::State::status": join(dir, "status"),
      "Dir::Cache": dir,
      "APT::Sandbox::User": "root",
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    const apt = (...args: readonly string[]): void => {
      execFileSync("apt-get", [...options, "-q", ...args], {
        cwd: dir,
        stdio: ["ignore", "ignore", "pipe"],
        timeout: 300_000,
      });
    };
    apt("update");
    apt("download", "cosign");
    const deb = readdirSync(dir).find((name) => name.endsWith(".deb"));
    if (deb === undefined) throw new Error("apt-get download brought no cosign");
    execFileSync("dpkg-deb", ["-x", join(dir, deb), join(dir, "cosign")]);
    rmSync(dirname(dirname(dirname(program))), { recursive: true, force: true });
    renameSync(join(dir, "cosign"), join(cache, "cosign"));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return program;
}

/** sigstore's public good instance plays no part: its roots would be fetched from the network otherwise. */
export const noRoots = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}\n';
