import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { runCommand } from "../command.ts";
import type { Archive } from "./archives.ts";
import { readMachineApt } from "./machine-apt.ts";

/** An apt that knows nothing of the machine's packages, sources and preferences. */
export interface PrivateApt {
  /** Runs a program of apt's. @throws {OperatorError} `INTERRUPTED`, `MACHINE_LACKS`, `BUILD_FAILED` after ten minutes */
  run(
    program: "apt-get" | "apt-cache" | "/usr/lib/apt/apt-helper",
    args: readonly string[],
    /** How large a file it may write, in bytes; absent: as large as the indices say. */
    mostFileBytes?: number,
  ): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }>;
}

export interface PrivateAptOptions {
  readonly archives: readonly Archive[];
  /** As Debian names it. */
  readonly architecture: string;
  /** What counts as installed already: paragraphs of a dpkg status. */
  readonly status: readonly string[];
  /** Versions that are taken where the archive has them still. */
  readonly preferred: readonly { readonly name: string; readonly version: string }[];
  readonly signal: AbortSignal;
}

/**
 * Sets up an apt in an empty folder.
 *
 * @see apt.conf(5): of APT_CONFIG's file, which is read first, nothing is taken back when the machine's own files are not read
 */
export async function createPrivateApt(dir: string, options: PrivateAptOptions): Promise<PrivateApt> {
  const { signal } = options;
  for (const name of ["lists/partial", "archives/partial", "etc/preferences.d"])
    await mkdir(join(dir, name), { recursive: true, mode: 0o755 });
  const write = (name: string, lines: readonly string[], mode = 0o644): Promise<void> =>
    writeFile(join(dir, name), lines.map((line) => `${line}\n`).join(""), { mode });
  await write("status", options.status);
  await write(
    "etc/sources.list",
    options.archives.map(
      ({ uri, release, keyring }) => `deb [arch=${options.architecture} signed-by=${keyring}] ${uri} ${release} main`,
    ),
  );
  await write(
    "etc/preferences",
    options.preferred.map(({ name, version }) => `Package: ${name}\nPin: version ${version}\nPin-Priority: 990\n`),
  );
  const own = [
    `Dir "${dir}/";`,
    `Dir::State "${dir}/";`,
    `Dir::State::lists "${dir}/lists/";`,
    `Dir::State::status "${dir}/status";`,
    `Dir::Cache "${dir}/";`,
    `Dir::Cache::archives "${dir}/archives/";`,
    `Dir::Etc "${dir}/etc/";`,
    'Dir::Etc::main "/dev/null";',
    'Dir::Etc::parts "/dev/null";',
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::trusted "/dev/null";',
    'Dir::Etc::trustedparts "/dev/null";',
    `APT::Architecture "${options.architecture}";`,
    `APT::Architectures { "${options.architecture}"; };`,
    'APT::Get::AllowUnauthenticated "false";',
    'APT::Update::Error-Mode "any";',
    'Acquire::Languages "none";',
    'Acquire::AllowInsecureRepositories "false";',
    'Acquire::AllowWeakRepositories "false";',
    'Acquire::AllowDowngradeToInsecureRepositories "false";',
  ];
  // Addresses of proxies may hold passwords.
  await write("apt.conf", [...(await readMachineApt(signal)).options, ...own], 0o600);
  const env = { APT_CONFIG: join(dir, "apt.conf"), DEBIAN_FRONTEND: "noninteractive" };
  return {
    run: (program, args, mostFileBytes) =>
      runCommand(program, args, {
        signal,
        timeoutMs: 10 * 60_000,
        cwd: dir,
        env,
        ...(mostFileBytes === undefined ? {} : { mostFileBytes }),
      }),
  };
}

/** Fetches the indices, with their signatures verified. @throws {OperatorError} `VERIFICATION_FAILED`, `BUILD_FAILED` */
export async function updateIndices(apt: PrivateApt, archives: readonly Archive[]): Promise<void> {
  for (const { keyring } of archives)
    if (!existsSync(keyring))
      throw new OperatorError("MACHINE_LACKS", `Cannot verify Debian's packages: "${keyring}" is missing`, {
        hint: "install it with apt-get install debian-archive-keyring, or name the file that is there in /etc/apt/sources.list.d (Signed-By)",
      });
  const { status, stderr } = await apt.run("apt-get", ["update", "--quiet=2"]);
  if (status === 0) return;
  const places = [...new Set(archives.map(({ uri }) => withoutPassword(uri)))].join(" and ");
  const cause = complaints(stderr);
  throw liesIn(stderr)
    ? new OperatorError(
        "VERIFICATION_FAILED",
        `Cannot take the package indices of ${places}: they are not what was signed`,
        {
          hint: "somebody on the way changed them, the mirror is broken or too old (try another one in /etc/apt/sources.list.d), or this machine's package debian-archive-keyring is older than the suite's keys",
          cause,
        },
      )
    : new OperatorError("BUILD_FAILED", `Cannot fetch the package indices of ${places}`, {
        hint: "check that the mirror can be reached (`apt-get update` uses the same one) and has the suite",
        cause,
      });
}

/** apt's own words about what went wrong, at most eight lines. */
export function complaints(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trimEnd());
  const told = lines.filter((line) => /^(E|Err|W):/.test(line));
  return withoutPassword((told.length > 0 ? told : lines.filter((line) => line !== "")).slice(-8).join("\n"));
}

/** apt ends with status 100 whatever happened; only its words tell bytes that lie from bytes that do not come. */
export function liesIn(stderr: string): boolean {
  return /Hash Sum mismatch|GPG error|is not signed|invalid signature|BADSIG|NO_PUBKEY|EXPKEYSIG|Clearsigned file|File has unexpected size|weak security information|is expired|not valid yet|NOSPLIT|Signed file isn't valid|Release file .* changed/i.test(
    stderr,
  );
}

export function withoutPassword(text: string): string {
  return text.replace(/(\w:\/\/)[^/@\s]+@/g, "$1");
}
