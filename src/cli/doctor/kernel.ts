import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { probeRootMode } from "../../drivers/runc/root-mode.ts";
import { loadSyscalls } from "../../linux/syscalls.ts";
import { fail, ok, warn, type Finding } from "./finding.ts";
import { tryCommand } from "./try-command.ts";

/** Kernel and privileges. @param stateDir image files are mounted from there, and not every file system lets them be */
export async function checkKernel(stateDir: string): Promise<readonly Finding[]> {
  return [
    checkRoot(),
    checkRelease(),
    await checkOverlay(),
    await checkRootMode(stateDir),
    checkCgroups(),
    checkSeccomp(),
    checkCapabilities(),
    checkFiles(),
  ];
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function checkRoot(): Finding {
  return isRoot()
    ? ok("user", "root")
    : warn("user", "not root: some checks could not be made", "run `bronze doctor` as root");
}

function checkRelease(): Finding {
  const text = release();
  const [major = 0, minor = 0] = text.split(".").map(Number);
  if (major > 5 || (major === 5 && minor >= 4)) return ok("kernel", text);
  return fail("kernel", `${text}, 5.4 or newer is needed`, "upgrade to Debian 12 or newer");
}

async function checkOverlay(): Promise<Finding> {
  if (/\toverlay$/m.test(readFileSync("/proc/filesystems", "utf8"))) return ok("overlay", "in the kernel");
  const module = await tryCommand("modprobe", ["-n", "overlay"]);
  return module.ok
    ? ok("overlay", "a module, loaded when needed")
    : fail("overlay", "the kernel has no overlay file system", "use a kernel with CONFIG_OVERLAY_FS");
}

async function checkRootMode(stateDir: string): Promise<Finding> {
  if (!isRoot()) return warn("instance roots", "unknown without root", "run `bronze doctor` as root");
  let folder = stateDir;
  while (!existsSync(folder)) folder = dirname(folder);
  const scratch = mkdtempSync(join(folder, ".bronze-doctor-"));
  try {
    const mode = await probeRootMode(scratch, loadSyscalls());
    if (mode.kind === "erofs")
      return ok(
        "instance roots",
        `EROFS images${mode.mountOptions === "" ? ", through the page cache" : ", with direct I/O"}`,
      );
    return warn(
      "instance roots",
      `unpacked folders: ${mode.reason ?? "EROFS is not there"}`,
      "it works; for EROFS images use Linux 6.12 or newer, and a state folder on ext4 or xfs",
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function checkCgroups(): Finding {
  const wanted = ["memory", "cpu", "pids"];
  if (existsSync("/sys/fs/cgroup/cgroup.controllers")) {
    const there = readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ");
    const missing = wanted.filter((name) => !there.includes(name));
    return missing.length === 0
      ? ok("cgroups", "version 2; runc is used")
      : fail("cgroups", `version 2 without ${missing.join(", ")}`, "boot with the controllers enabled");
  }
  const missing = wanted.filter((name) => !existsSync(join("/sys/fs/cgroup", name)));
  const kind = existsSync("/sys/fs/cgroup/unified") ? "version 1, hybrid" : "version 1";
  return missing.length === 0
    ? ok("cgroups", `${kind}; runc is used`)
    : fail("cgroups", `${kind} without ${missing.join(", ")}`, "mount the controllers, or boot with cgroup version 2");
}

function checkSeccomp(): Finding {
  return existsSync("/proc/sys/kernel/seccomp/actions_avail")
    ? ok("seccomp", "filters available")
    : fail("seccomp", "the kernel has no seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER");
}

const sysResource = 24n;
const sysAdmin = 21n;

function checkCapabilities(): Finding {
  const effective = BigInt(
    `0x${/^CapEff:\s+([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`,
  );
  const has = (bit: bigint): boolean => ((effective >> bit) & 1n) === 1n;
  if (!has(sysAdmin))
    return isRoot()
      ? fail(
          "capabilities",
          "CAP_SYS_ADMIN is missing",
          "run on the machine itself, or give the container CAP_SYS_ADMIN",
        )
      : warn("capabilities", "not those of root", "run `bronze doctor` as root");
  if (!has(sysResource))
    return warn(
      "capabilities",
      "CAP_SYS_RESOURCE is missing",
      "nothing to do: limits of instances are clamped to the daemon's own",
    );
  return ok("capabilities", "all that are needed");
}

function checkFiles(): Finding {
  const [soft = "", hard = ""] =
    /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.slice(1) ?? [];
  if (hard === "unlimited" || Number(hard) >= 65_536) return ok("open files", `${soft}, at most ${hard}`);
  return warn(
    "open files",
    `at most ${hard}`,
    "raise the hard limit (ulimit -Hn) to 65536 or more before starting the daemon",
  );
}
