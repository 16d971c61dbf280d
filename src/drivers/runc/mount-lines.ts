import type { MountEntry } from "../../linux/mountinfo.ts";

/**
 * Mounts as lines that compare: where, what, how, in order of place. Numbers and host paths that differ from one start to
 * the next are left out; which file system the root is, is looked at apart.
 */
export function mountLines(mounts: readonly MountEntry[]): readonly string[] {
  return mounts
    .map(
      ({ target, type, options, root }) =>
        `${target} ${type} ${options}${root === "/" || type === "cgroup" ? "" : ` from ${root.split("/").at(-1) ?? ""}`}`,
    )
    .sort();
}
