import type { LanguagePackage } from "./found.ts";

const mostLocked = 50_000;

/** The package that a `package.json` is of; undefined where it names none. */
export function readNpmPackage(text: string): LanguagePackage | undefined {
  const fields = asObject(parse(text));
  const name = fields?.["name"];
  const version = fields?.["version"];
  if (typeof name !== "string" || typeof version !== "string" || !isNpmName(name) || !isVersion(version))
    return undefined;
  return { type: "npm", name, version, licence: npmLicence(fields) };
}

/** What a `package-lock.json` of npm names, but what is only needed to develop, and links to folders. */
export function readNpmLock(text: string): readonly LanguagePackage[] {
  const lock = asObject(parse(text));
  const packages = asObject(lock?.["packages"]);
  const rows: LanguagePackage[] = [];
  for (const [path, value] of Object.entries(packages ?? {})) {
    const entry = asObject(value);
    const at = path.lastIndexOf("node_modules/");
    if (entry === undefined || at < 0 || entry["link"] === true || entry["dev"] === true) continue;
    const named = entry["name"];
    const name = typeof named === "string" ? named : path.slice(at + "node_modules/".length);
    const version = entry["version"];
    if (!isNpmName(name) || typeof version !== "string" || !isVersion(version)) continue;
    rows.push({ type: "npm", name, version, licence: npmLicence(entry) });
    if (rows.length >= mostLocked) break;
  }
  return rows;
}

function npmLicence(fields: Readonly<Record<string, unknown>> | undefined): string {
  const said = fields?.["license"] ?? fields?.["licenses"];
  const first: unknown = Array.isArray(said) ? (said as readonly unknown[])[0] : said;
  const text = typeof first === "string" ? first : asObject(first)?.["type"];
  return typeof text === "string" && isLicence(text) ? text : "";
}

/**
 * The package that a `METADATA` or `PKG-INFO` is of; undefined where it names none.
 *
 * @see https://packaging.python.org/en/latest/specifications/core-metadata/
 */
export function readPythonPackage(text: string): LanguagePackage | undefined {
  const [head = ""] = text.split(/\r?\n\r?\n/, 1);
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*?)\\s*$`, "im").exec(head)?.[1] ?? "";
  const name = field("Name");
  const version = field("Version");
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/.test(name) || !isVersion(version)) return undefined;
  const licence = field("License-Expression") || field("License");
  return {
    type: "pypi",
    // As PyPI itself knows it. @see PEP 503
    name: name.toLowerCase().replace(/[-_.]+/g, "-"),
    version,
    licence: isLicence(licence) && licence !== "UNKNOWN" ? licence : "",
  };
}

/** Paths that a `RECORD` names, relative to the folder that packages are in. */
export function readRecord(text: string): readonly string[] {
  return text.split("\n").flatMap((line) => {
    const path = /^"((?:[^"]|"")+)"|^([^",]+),/.exec(line);
    const name = path?.[1]?.replaceAll('""', '"') ?? path?.[2];
    return name === undefined || name.startsWith("/") || name.split("/").includes("..") ? [] : [name];
  });
}

function isNpmName(text: string): boolean {
  return /^(?:@[A-Za-z0-9._~-]{1,100}\/)?[A-Za-z0-9._~-]{1,214}$/.test(text);
}

function isVersion(text: string): boolean {
  return /^[A-Za-z0-9.+!_~*-]{1,200}$/.test(text);
}

function isLicence(text: string): boolean {
  return /^[A-Za-z0-9(][A-Za-z0-9.+()/,; _-]{0,150}$/.test(text);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
