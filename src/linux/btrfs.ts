import { statSync, statfsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { diskError, OperatorError } from "../errors/operator-error.ts";
import { run } from "./process.ts";

const magic = 0x9123683e;
/** Inode of the top of each subvolume. */
const topInode = 256;

/** Whether a folder is on btrfs. */
export function isBtrfs(folder: string): boolean {
  return statfsSync(folder).type === magic;
}

/** Whether a folder is the top of a subvolume. */
export function isSubvolume(folder: string): boolean {
  return isBtrfs(folder) && statSync(folder).ino === topInode;
}

/**
 * Perl is essential in Debian, and its ioctl takes what the kernel takes: no other program is needed for three calls.
 *
 * @see ioctl-btrfs, BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SNAP_DESTROY
 */
const program = `
my ($call, $folder, $name, $source) = @ARGV;
open(my $in, "<", $folder) or fail();
if ($call eq "create") { ask($in, 0x5000940e, pack("q a4088", 0, $name)) }
elsif ($call eq "remove") { ask($in, 0x5000940f, pack("q a4088", 0, $name)) }
else {
  open(my $from, "<", $source) or fail();
  ask($in, 0x50009417, pack("q Q Q Q4 a4040", fileno($from), 0, $call eq "freeze" ? 2 : 0, 0, 0, 0, 0, $name));
}
sub ask { my ($file, $request, $arguments) = @_; ioctl($file, $request, $arguments) or fail() }
sub fail { my $errno = $! + 0; print STDERR "$!\\n"; exit($errno || 255) }
`;
const enospc = 28;
const enotempty = 39;

async function ask(call: "create" | "remove" | "freeze" | "thaw", path: string, source?: string): Promise<number> {
  const args = ["-e", program, call, dirname(path), basename(path), ...(source === undefined ? [] : [source])];
  const { code, stderr } = await run("perl", args, { timeoutMs: 600_000 });
  if (code === 0 || (call === "remove" && code === enotempty)) return code;
  const what = `${call === "remove" ? "remove" : "make"} the subvolume "${path}"`;
  if (code === enospc) throw diskError("ENOSPC", what, undefined, stderr.trim());
  throw new OperatorError("MACHINE_REFUSED", `Cannot ${what}: ${stderr.trim() || "no answer"}`, {
    hint: "see the kernel's log for what its file system says",
  });
}

/** Makes an empty subvolume. @throws {OperatorError} `DISK_FULL`, `MACHINE_REFUSED` */
export async function makeSubvolume(path: string): Promise<void> {
  await ask("create", path);
}

/** Makes a subvolume that begins as another is at this moment; it is on disk when this resolves. */
export async function snapshotSubvolume(source: string, path: string, readOnly: boolean): Promise<void> {
  await ask(readOnly ? "freeze" : "thaw", path, source);
}

/** Removes a subvolume. @returns false when others are inside of it, as an app may make them */
export async function removeSubvolume(path: string): Promise<boolean> {
  return (await ask("remove", path)) === 0;
}
