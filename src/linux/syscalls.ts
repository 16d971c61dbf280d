import { spawnSync } from "node:child_process";

/** mount(2) flags that are used here. */
export const mountFlags = { readOnly: 1, noSuid: 2, noDevices: 4, noExecution: 8 } as const;
const detach = 2;

/** The few system calls that Node has no function for. Each throws an `Error` with `code` when the kernel refuses. */
export interface Syscalls {
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  /** Lazily: what is still in use goes when its last user does. */
  unmount(target: string): void;
  /** Makes a character device 0/0, which overlayfs takes as "deleted below". */
  makeWhiteout(path: string): void;
  /** Marks a folder as hiding the same folder of all layers below. */
  makeOpaque(path: string): void;
}

const errnoNames: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  12: "ENOMEM",
  15: "ENOTBLK",
  16: "EBUSY",
  19: "ENODEV",
  20: "ENOTDIR",
  22: "EINVAL",
  95: "EOPNOTSUPP",
};

function refused(call: string, target: string, errno: number): Error {
  const code = errnoNames[errno] ?? `errno ${errno}`;
  return Object.assign(new Error(`${call} ${target}: ${code}`), { code });
}

const characterDevice = 0o020000;
const opaqueName = "trusted.overlay.opaque";

interface ForeignLibrary {
  readonly functions: Readonly<
    Record<string, (...args: readonly (string | number | bigint | Buffer)[]) => number | bigint>
  >;
}
/** What is used here of `node:ffi`. */
export interface ForeignInterface {
  dlopen(
    name: string,
    symbols: Readonly<Record<string, { readonly arguments: readonly string[]; readonly return: string }>>,
  ): ForeignLibrary;
  getInt32(pointer: bigint, offset: number): number;
}

function viaForeignInterface(ffi: ForeignInterface): Syscalls {
  const { functions } = ffi.dlopen("libc.so.6", {
    mount: { arguments: ["string", "string", "string", "uint64", "string"], return: "int32" },
    umount2: { arguments: ["string", "int32"], return: "int32" },
    mknod: { arguments: ["string", "uint32", "uint64"], return: "int32" },
    lsetxattr: { arguments: ["string", "string", "string", "uint64", "int32"], return: "int32" },
    __errno_location: { arguments: [], return: "pointer" },
  });
  const call = (name: string, target: string, args: readonly (string | number | bigint)[]): void => {
    if (functions[name]?.(...args) === 0) return;
    throw refused(name, target, ffi.getInt32(BigInt(functions["__errno_location"]?.() ?? 0), 0));
  };
  return {
    mount: (source, target, type, flags, data) => call("mount", target, [source, target, type, BigInt(flags), data]),
    unmount: (target) => call("umount2", target, [target, detach]),
    makeWhiteout: (path) => call("mknod", path, [path, characterDevice, 0n]),
    makeOpaque: (path) => call("lsetxattr", path, [path, opaqueName, "y", 1n, 0]),
  };
}

// Numbers of the calls by architecture: mount, umount2, mknodat, lsetxattr.
const numbers = { x64: [165, 166, 259, 189], arm64: [40, 39, 33, 6] } as const;
const atCurrentFolder = -100;

/** Perl is essential in Debian. Arguments must be variables there, or numbers would be passed as text. */
function viaPerl(): Syscalls {
  const [mount, unmount, mknodat, lsetxattr] = numbers[process.arch === "arm64" ? "arm64" : "x64"];
  const call = (name: string, target: string, args: readonly (string | number)[]): void => {
    const program =
      "my @a = map { /^n(.*)/s ? $1 + 0 : substr($_, 1) } @ARGV; exit(syscall(shift @a, @a) == 0 ? 0 : $! + 0)";
    const result = spawnSync("perl", [
      "-e",
      program,
      ...args.map((arg) => (typeof arg === "number" ? `n${arg}` : `s${arg}`)),
    ]);
    if (result.status !== 0) throw refused(name, target, result.status ?? 0);
  };
  return {
    mount: (source, target, type, flags, data) => call("mount", target, [mount, source, target, type, flags, data]),
    unmount: (target) => call("umount2", target, [unmount, target, detach]),
    makeWhiteout: (path) => call("mknod", path, [mknodat, atCurrentFolder, path, characterDevice, 0]),
    makeOpaque: (path) => call("lsetxattr", path, [lsetxattr, path, opaqueName, "y", 1, 0]),
  };
}

/** Foreign functions, where this Node has them. */
export function foreignInterface(): ForeignInterface | undefined {
  try {
    return process.getBuiltinModule("node:ffi" as "node:fs") as unknown as ForeignInterface | undefined;
  } catch {
    return undefined;
  }
}

/** Direct calls where this Node has `node:ffi` (0.03 ms each), else through Perl (3.5 ms each). */
export function loadSyscalls(way: "best" | "perl" = "best"): Syscalls {
  const ffi = way === "perl" ? undefined : foreignInterface();
  try {
    return ffi === undefined ? viaPerl() : viaForeignInterface(ffi);
  } catch {
    return viaPerl();
  }
}
