import { fail, ok, type Finding } from "./finding.ts";
import { tryCommand } from "./try-command.ts";

/** Command, how it is asked for its version, the Debian package it comes from. */
const tools: readonly (readonly [string, readonly string[], string])[] = [
  ["runc", ["--version"], "runc"],
  ["conmon", ["--version"], "conmon"],
  ["haproxy", ["-v"], "haproxy"],
  ["mkfs.erofs", ["-V"], "erofs-utils"],
  ["ip", ["-V"], "iproute2"],
  ["iptables", ["--version"], "iptables"],
  ["nsenter", ["--version"], "util-linux"],
  ["mmdebstrap", ["--version"], "mmdebstrap"],
  ["chattr", ["-V"], "e2fsprogs"],
  ["perl", ["-e", "print $^V"], "perl-base"],
  ["tar", ["--version"], "tar"],
  ["zstd", ["--version"], "zstd"],
  ["xz", ["--version"], "xz-utils"],
  ["bzip2", ["--help"], "bzip2"],
  ["git", ["--version"], "git"],
];

/** The programs Bronze stands on, each with its version. */
export async function checkTools(): Promise<readonly Finding[]> {
  const findings = await Promise.all(
    tools.map(async ([tool, args, from]): Promise<Finding> => {
      const { found, text } = await tryCommand(tool, args);
      if (!found) return fail(tool, "missing", `apt-get install ${from}`);
      const version = /v?([0-9]+\.[0-9][0-9A-Za-z.+~-]*)/.exec(text)?.[1];
      return ok(tool, version ?? "there, version unknown");
    }),
  );
  return [ok("node", process.versions.node), ...findings];
}
