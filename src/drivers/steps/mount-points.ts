import { chmod, lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { toBytePath, type BytePath } from "../../image/tar-entry.ts";
import { resolveInside } from "../../linux/inside.ts";

/**
 * Makes what something is to be mounted on, where the image lacks it.
 *
 * @param root the step's root, with nothing mounted in it yet
 * @param path as the step names it; links of the image are followed
 * @returns where it is, and what had to be made for it, so that it can be taken away again
 */
export async function makeMountPoint(
  root: string,
  path: string,
  kind: "file" | "folder",
): Promise<{ readonly path: string; readonly made: readonly BytePath[] }> {
  const real = await resolveInside(root, path);
  const parts = real.split("/").filter((part) => part !== "");
  const made: BytePath[] = [];
  for (let count = 1; count <= parts.length; count += 1) {
    const here = parts.slice(0, count).join("/");
    const location = join(root, here);
    if ((await lstat(location).catch(() => undefined)) !== undefined) continue;
    if (count === parts.length && kind === "file") await (await open(location, "wx", 0o644)).close();
    else {
      await mkdir(location);
      await chmod(location, 0o755);
    }
    made.push(toBytePath(here));
  }
  return { path: real, made };
}
