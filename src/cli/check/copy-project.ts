import {
  chmod,
  copyFile,
  link,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  rm,
  rmdir,
  statfs,
  symlink,
} from "node:fs/promises";
import { join } from "node:path";
import { createTemporaries } from "../../store/temporary.ts";

/** Copies of up to this many bytes go into memory, where files are listed in another order. */
const mostInMemory = 256 * 2 ** 20;
const memory = "/dev/shm";
/** What statfs(2) says of a file system in memory. */
const tmpfsMagic = 0x01021994;
/** Of everything in a copy, seconds since the epoch. */
const otherTime = 1_000_000_000;

/**
 * Copies a project as another check-out of it would be: other times, other modes as far as git keeps none, files made in
 * the opposite order, other inodes and, where it fits into memory, another file system. Version control stays behind, and
 * what no check-out has: sockets, pipes, devices.
 *
 * @param near a folder for what does not fit into memory
 * @param prefix where in the copy's root the project is to be; "" is the root
 */
export async function copyProject(
  project: string,
  near: string,
  prefix: string,
  signal: AbortSignal,
): Promise<{ readonly root: string; remove(): Promise<void> }> {
  const folder = join(await placeFor(project, near, signal), "bronze-check");
  const root = await createTemporaries(folder).next();
  const remove = async (): Promise<void> => {
    await rm(root, { recursive: true, force: true });
    // Another check may be under way.
    await rmdir(folder).catch(() => undefined);
  };
  try {
    const target = join(root, prefix);
    await mkdir(target, { recursive: true });
    const leaveOut = [join(project, ".git"), near].map((path) => Buffer.from(path));
    await copyFolder(Buffer.from(project), Buffer.from(target), { links: new Map(), signal, leaveOut });
  } catch (error) {
    await remove();
    throw error;
  }
  return { root, remove };
}

async function placeFor(project: string, near: string, signal: AbortSignal): Promise<string> {
  const there = await statfs(memory).catch(() => undefined);
  if (there?.type !== tmpfsMagic) return near;
  const most = Math.min(mostInMemory, (there.bavail * there.bsize) / 2);
  return (await isSmaller(Buffer.from(project), { left: most }, signal)) ? memory : near;
}

async function isSmaller(folder: Buffer, budget: { left: number }, signal: AbortSignal): Promise<boolean> {
  for (const name of await readdir(folder, { encoding: "buffer" })) {
    signal.throwIfAborted();
    const path = below(folder, name);
    const stats = await lstat(path);
    budget.left -= stats.isFile() ? stats.size : 4096;
    if (budget.left < 0 || (stats.isDirectory() && !(await isSmaller(path, budget, signal)))) return false;
  }
  return true;
}

interface Copying {
  /** Where the first name of a file with several was copied to, by its inode. */
  readonly links: Map<string, Buffer>;
  readonly signal: AbortSignal;
  /** Version control, and the copy itself where it is made inside of the project. */
  readonly leaveOut: readonly Buffer[];
}

async function copyFolder(from: Buffer, to: Buffer, copying: Copying): Promise<void> {
  const names = await readdir(from, { encoding: "buffer" });
  for (const name of names.sort((a, b) => b.compare(a))) {
    copying.signal.throwIfAborted();
    const path = below(from, name);
    if (!copying.leaveOut.some((left) => left.equals(path))) await copyEntry(path, below(to, name), copying);
  }
  await chmod(to, 0o750);
  await lutimes(to, otherTime, otherTime);
}

async function copyEntry(from: Buffer, to: Buffer, copying: Copying): Promise<void> {
  const stats = await lstat(from);
  if (stats.isDirectory()) {
    await mkdir(to);
    return copyFolder(from, to, copying);
  }
  if (stats.isSymbolicLink()) await symlink(await readlink(from, { encoding: "buffer" }), to);
  else if (stats.isFile()) {
    const inode = `${stats.dev}:${stats.ino}`;
    const first = copying.links.get(inode);
    if (first !== undefined) return link(first, to);
    if (stats.nlink > 1) copying.links.set(inode, to);
    await copyFile(from, to);
    await chmod(to, (stats.mode & 0o100) === 0 ? 0o660 : 0o770);
  } else return;
  await lutimes(to, otherTime, otherTime);
}

function below(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from("/"), name]);
}
