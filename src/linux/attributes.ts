import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { foreignInterface, type ForeignInterface } from "./syscalls.ts";

/** Extended attributes of one file: values by name, both as bytes, one character a byte. */
export type AttributeMap = ReadonlyMap<string, string>;

/** Extended attributes, which Node has no functions for. Links are not followed; paths are absolute, as bytes. */
export interface Attributes {
  /** Of many files, in their order; of one that is gone, or on a file system without attributes, none. */
  read(paths: readonly Buffer[]): readonly AttributeMap[];
  /** Of everything below a folder that has any, by path, as bytes. */
  below(folder: Buffer): ReadonlyMap<string, AttributeMap>;
  /** Takes one attribute away; files that do not have it stay as they are. */
  remove(paths: readonly Buffer[], name: string): void;
}

const none: AttributeMap = new Map();
const mostNameBytes = 64 * 1024;
const mostValueBytes = 64 * 1024;

function viaForeignInterface(ffi: ForeignInterface): Attributes {
  const { functions } = ffi.dlopen("libc.so.6", {
    llistxattr: { arguments: ["pointer", "pointer", "uint64"], return: "int64" },
    lgetxattr: { arguments: ["pointer", "pointer", "pointer", "uint64"], return: "int64" },
    lremovexattr: { arguments: ["pointer", "pointer"], return: "int32" },
  });
  const { llistxattr, lgetxattr, lremovexattr } = functions;
  if (llistxattr === undefined || lgetxattr === undefined || lremovexattr === undefined) return viaPerl();
  const names = Buffer.alloc(mostNameBytes);
  const value = Buffer.alloc(mostValueBytes);
  const readOne = (path: Buffer): AttributeMap => {
    const terminated = withNul(path);
    const length = Number(llistxattr(terminated, names, BigInt(mostNameBytes)));
    if (length <= 0) return none;
    const found = new Map<string, string>();
    for (const name of names.toString("latin1", 0, length).split("\0")) {
      if (name === "") continue;
      const size = Number(lgetxattr(terminated, withNul(Buffer.from(name, "latin1")), value, BigInt(mostValueBytes)));
      if (size >= 0) found.set(name, value.toString("latin1", 0, size));
    }
    return found;
  };
  const below = (folder: Buffer, found: Map<string, AttributeMap>): ReadonlyMap<string, AttributeMap> => {
    for (const entry of readdirSync(folder, { withFileTypes: true, encoding: "buffer" })) {
      const path = Buffer.concat([folder, slash, entry.name]);
      const own = readOne(path);
      if (own.size > 0) found.set(path.toString("latin1"), own);
      if (entry.isDirectory()) below(path, found);
    }
    return found;
  };
  return {
    read: (paths) => paths.map(readOne),
    below: (folder) => below(folder, new Map()),
    remove: (paths, name) => {
      for (const path of paths) lremovexattr(withNul(path), withNul(Buffer.from(name, "latin1")));
    },
  };
}

const slash = Buffer.from("/");

function withNul(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}

// Numbers of the calls by architecture: llistxattr, lgetxattr, lremovexattr.
const numbers = { x64: [195, 192, 198], arm64: [12, 9, 15] } as const;

// One line a file: names and values in hexadecimal, by "=" and blanks.
const lookUp = `
my ($list, $get, @roots) = @ARGV;
($list, $get) = ($list + 0, $get + 0);
sub look {
  my ($path) = @_;
  my $names = "\\0" x 65536;
  my $length = syscall($list, $path, $names, 65536 + 0);
  my @found;
  for my $name ($length > 0 ? split(/\\0/, substr($names, 0, $length)) : ()) {
    my $value = "\\0" x 65536;
    my $size = syscall($get, $path, $name, $value, 65536 + 0);
    push @found, unpack("H*", $name) . "=" . unpack("H*", substr($value, 0, $size)) if $size >= 0;
  }
  return join(" ", @found);
}`;

const reader = `${lookUp}
local $/ = "\\0";
while (my $path = <STDIN>) { chomp $path; print look($path), "\\n" }`;

const walker = `${lookUp}
while (defined(my $folder = pop @roots)) {
  opendir(my $handle, $folder) or next;
  for my $name (readdir $handle) {
    next if $name eq "." || $name eq "..";
    my $path = "$folder/$name";
    my $found = look($path);
    print unpack("H*", $path), " $found\\n" if $found ne "";
    lstat $path;
    push @roots, $path if -d _;
  }
}`;

const remover = `
my ($number, $name) = ($ARGV[0] + 0, $ARGV[1]);
local $/ = "\\0";
while (my $path = <STDIN>) { chomp $path; syscall($number, $path, $name) }`;

function viaPerl(): Attributes {
  const [list, get, remove] = numbers[process.arch === "arm64" ? "arm64" : "x64"];
  const perl = (program: string, args: readonly string[], paths: readonly Buffer[]): string => {
    const result = spawnSync("perl", ["-e", program, ...args], {
      input: Buffer.concat(paths.map(withNul)),
      maxBuffer: 1 << 30,
      encoding: "latin1",
    });
    if (result.status === 0) return result.stdout;
    throw result.error ?? new Error(`perl ended with status ${result.status}: ${result.stderr}`);
  };
  const ofPairs = (pairs: readonly string[]): AttributeMap =>
    new Map(
      pairs
        .filter((pair) => pair !== "")
        .map((pair) => [text(pair.split("=")[0] ?? ""), text(pair.split("=")[1] ?? "")]),
    );
  const text = (hex: string): string => Buffer.from(hex, "hex").toString("latin1");
  return {
    read: (paths) =>
      perl(reader, [String(list), String(get)], paths)
        .split("\n")
        .slice(0, paths.length)
        .map((line) => ofPairs(line.split(" "))),
    below: (folder) => {
      const lines = perl(walker, [String(list), String(get), folder.toString()], []).split("\n");
      return new Map(
        lines
          .map((line) => line.split(" "))
          .flatMap(([path = "", ...pairs]) => (path === "" ? [] : [[text(path), ofPairs(pairs)]])),
      );
    },
    remove: (paths, name) => {
      if (paths.length > 0) perl(remover, [String(remove), name], paths);
    },
  };
}

/** Direct calls where this Node has `node:ffi` (2 µs a file), else through Perl (one process a call). */
export function loadAttributes(way: "best" | "perl" = "best"): Attributes {
  const ffi = way === "perl" ? undefined : foreignInterface();
  return ffi === undefined ? viaPerl() : viaForeignInterface(ffi);
}
