import type { BuildDefinition, BuildSettings, CopyRule, DebianRecipe, SecretAllowance } from "../model/definition.ts";
import { debianKeys, dockerfileKeys, keySets, settingKeys } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";

const variableName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const architectures = ["amd64", "arm64"];
const suites = ["bullseye", "bookworm", "trixie", "forky", "sid"];

/** Reads `build`: exactly one of `dockerfile`, `debian` and `image`. */
export function readBuild(reader: Reader, place: Place): BuildDefinition | undefined {
  const fields = reader.map(place, keySets.build);
  const kinds = ["dockerfile", "debian", "image"].flatMap((kind) => fields.get(kind) ?? []);
  const [kind, second] = kinds;
  if (kind === undefined)
    return reader.problem(place, "must say one of dockerfile: PATH, debian: SUITE or image: PATH");
  if (second !== undefined)
    return reader.problem(second, `only one of dockerfile, debian and image; "${kind.path}" is there too`);
  const settings = readSettings(reader, fields);
  const debian = fields.get("debian");
  for (const key of kind.path.endsWith("dockerfile") ? [] : dockerfileKeys) {
    const field = fields.get(key);
    if (field !== undefined) reader.problem(field, "belongs to a dockerfile: only");
  }
  if (debian !== undefined) {
    const recipe = readDebian(reader, debian, fields);
    return recipe === undefined ? undefined : { ...recipe, ...settings };
  }
  for (const key of debianKeys) {
    const field = fields.get(key);
    if (field !== undefined) reader.problem(field, "belongs to a debian: recipe only");
  }
  const path = reader.parsed(kind, (text) => text);
  if (path === undefined) return undefined;
  if (kind.path.endsWith("image")) {
    for (const key of settingKeys) {
      const field = fields.get(key);
      if (field !== undefined) reader.problem(field, "has no meaning for an image that is taken as it is");
    }
    return { kind: "image", path };
  }
  if (!staysInside(path)) return reader.problem(kind, "must be a path inside the project");
  const target = optional(fields, "target", (field) => reader.text(field));
  const args = optional(fields, "args", (field) => readArgs(reader, field));
  return {
    kind: "dockerfile",
    path,
    ...(target === undefined ? {} : { target }),
    ...(args === undefined ? {} : { args }),
    ...settings,
  };
}

function readArgs(reader: Reader, place: Place): { readonly [name: string]: string } {
  return Object.fromEntries(
    Array.from(reader.map(place, null)).flatMap(([name, field]) => {
      if (!variableName.test(name)) return reader.problem(field, "is not a variable's name") ?? [];
      const value = reader.anyText(field);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

function readSettings(reader: Reader, fields: ReadonlyMap<string, Place>): BuildSettings {
  const allowSecrets = optional(fields, "allowSecrets", (field) => readAllowances(reader, field));
  const compress = optional(fields, "compress", (field) => {
    const name = reader.text(field);
    if (name === undefined || name === "zstd" || name === "gzip") return name;
    return reader.problem(field, "must be zstd or gzip; without it layers stay uncompressed");
  });
  return {
    ...(compress === undefined ? {} : { compress }),
    ...(allowSecrets === undefined ? {} : { allowSecrets }),
  };
}

function readAllowances(reader: Reader, place: Place): readonly SecretAllowance[] {
  return reader.list(place).flatMap((item) => {
    const fields = reader.map(item, keySets.allowance);
    const [path, rule, reason] = ["path", "rule", "reason"].map((key) =>
      optional(fields, key, (field) => reader.text(field)),
    );
    if (path !== undefined && rule !== undefined && reason !== undefined) return [{ path, rule, reason }];
    return reader.problem(item, "needs path: (in the image), rule: (as the refusal named it) and reason:") ?? [];
  });
}

function readDebian(reader: Reader, place: Place, fields: ReadonlyMap<string, Place>): DebianRecipe | undefined {
  const suite = reader.text(place);
  if (suite !== undefined && !suites.includes(suite))
    reader.problem(place, `unknown Debian suite; known: ${suites.join(", ")}`);
  const packages = optional(fields, "packages", (field) => reader.texts(field)) ?? [];
  packages.forEach((name) => {
    const field = fields.get("packages");
    if (field !== undefined && !/^[a-z0-9][a-z0-9+.-]{1,100}$/.test(name))
      reader.problem(field, `"${name}" is not a package's name`);
  });
  const full = optional(fields, "full", (field) => reader.boolean(field)) ?? false;
  const commandField = fields.get("command");
  if (commandField === undefined && !full)
    reader.problem(place, "a debian: recipe needs a command, for instance command: [node, server.js]");
  // A system without a command is a base: those who build on it begin at its root, as root.
  const isBase = full && commandField === undefined;
  const workdir = optional(fields, "workdir", (field) => readAbsolute(reader, field)) ?? (isBase ? "/" : "/app");
  const command = commandField === undefined ? [] : readCommand(reader, commandField);
  if (suite === undefined) return undefined;
  return {
    kind: "debian",
    suite,
    packages: [...new Set(packages)].sort(),
    recommends: optional(fields, "recommends", (field) => reader.boolean(field)) ?? false,
    full,
    architectures: optional(fields, "architectures", (field) => readArchitectures(reader, field)) ?? [],
    copy: optional(fields, "copy", (field) => readCopies(reader, field, workdir)) ?? [],
    env: optional(fields, "env", (field) => readEnv(reader, field)) ?? {},
    workdir,
    user: optional(fields, "user", (field) => readUser(reader, field)) ?? (isBase ? "0:0" : "65532:65532"),
    command: command ?? [],
    expose:
      optional(fields, "expose", (field) =>
        reader.list(field).flatMap((item) => reader.number(item, portRange) ?? []),
      ) ?? [],
  };
}

export const portRange = { min: 1, max: 65_535, integer: true };

/** A command as a list of words; a shell line is not one. */
export function readCommand(reader: Reader, place: Place): readonly string[] | undefined {
  if (!reader.isList(place))
    return reader.problem(place, "must be a list of words, [node, server.js]; no shell takes it apart");
  const words = reader.texts(place);
  return words.length === 0 ? reader.problem(place, "must name a program") : words;
}

function readArchitectures(reader: Reader, place: Place): readonly string[] {
  const names = reader.texts(place);
  for (const name of names)
    if (!architectures.includes(name))
      reader.problem(place, `"${name}" is not known here; known: ${architectures.join(", ")}`);
  return [...new Set(names)].sort();
}

function readCopies(reader: Reader, place: Place, workdir: string): readonly CopyRule[] {
  return reader.list(place).flatMap((item) => {
    if (!reader.isMap(item)) {
      const from = reader.text(item);
      if (from === undefined) return [];
      if (!staysInside(from)) return reader.problem(item, "must be a path inside the project") ?? [];
      const name = cleanRelative(from);
      return { from: name, to: name === "." ? workdir : `${workdir === "/" ? "" : workdir}/${name}` };
    }
    const fields = reader.map(item, keySets.copy);
    const from = optional(fields, "from", (field) => reader.text(field));
    const to = optional(fields, "to", (field) => readAbsolute(reader, field));
    if (from === undefined || to === undefined)
      return reader.problem(item, "needs from: (in the project) and to: (in the image)") ?? [];
    if (!staysInside(from)) return reader.problem(item, "from must be a path inside the project") ?? [];
    return { from: cleanRelative(from), to };
  });
}

/** Variables by name. */
export function readEnv(reader: Reader, place: Place): { readonly [name: string]: string } {
  const env: [name: string, value: string][] = [];
  for (const [name, field] of reader.map(place, null)) {
    const value = reader.text(field);
    if (!variableName.test(name)) reader.problem(field, "is not a variable's name");
    else if (value !== undefined) env.push([name, value]);
  }
  // Not by assignment: a variable may be called __proto__.
  return Object.fromEntries(env);
}

function readUser(reader: Reader, place: Place): string | undefined {
  const user = reader.text(place);
  if (user === undefined || /^([0-9]{1,9}(:[0-9]{1,9})?|[a-z_][a-z0-9_-]{0,31})$/.test(user)) return user;
  return reader.problem(place, "must be a name, a uid or uid:gid");
}

/** An absolute path without `..`, `.` and doubled slashes. */
export function readAbsolute(reader: Reader, place: Place): string | undefined {
  const text = reader.text(place);
  if (text === undefined) return undefined;
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (text.startsWith("/") && !parts.includes("..")) return `/${parts.join("/")}`;
  return reader.problem(place, "must be an absolute path without ..");
}

/** Whether a relative path leads nowhere above its folder. */
export function staysInside(path: string): boolean {
  return !path.startsWith("/") && !path.split("/").includes("..");
}

/** A relative path without `.` and doubled slashes. */
export function cleanRelative(path: string): string {
  return (
    path
      .split("/")
      .filter((part) => part !== "" && part !== ".")
      .join("/") || "."
  );
}

/** Reads a field when it is written at all. */
export function optional<T>(
  fields: ReadonlyMap<string, Place>,
  name: string,
  read: (place: Place) => T | undefined,
): T | undefined {
  const field = fields.get(name);
  return field === undefined ? undefined : read(field);
}
