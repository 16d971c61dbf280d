import { fromBytePath, type BytePath } from "../../../image/tar-entry.ts";
import { canonicalJson, type Json } from "../../../model/canonical.ts";
import type { DebianPackage, FileFact, Found, LanguagePackage } from "./found.ts";
import { licenceChoices } from "./licences.ts";

/** What a bill of materials is of, and who made it. */
export interface BillOptions {
  /** Of the image: a name, as far as there is one. */
  readonly name: string;
  /** Versions of what made it, by name. */
  readonly tools: { readonly [name: string]: string };
}

/** A package of a bill: what it is called there, and all that is said of it as canonical JSON. */
export type Component = readonly [ref: string, json: string];

/** What a bill is written of. */
export interface BillContent {
  /** Sorted by their names. */
  readonly components: readonly Component[];
  /** Files of nobody, in any order. */
  readonly files: readonly FileFact[];
  /** How many more there are. */
  readonly unlisted: number;
  /** Files that could not be believed. */
  readonly unread: readonly BytePath[];
}

/** Files of nobody that are listed, first of all in the order of their paths. */
const mostFiles = 5000;
const mostPlaces = 20;

/**
 * The text of a bill of materials, as canonical JSON. It is put together of texts: most of it is the same from build to build.
 *
 * @see CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/
 */
export function writeBill({ components, files, unlisted, unread }: BillContent, { name, tools }: BillOptions): string {
  const inOrder = files.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const listed = inOrder.slice(0, mostFiles);
  const left = unlisted + files.length - listed.length;
  const metadata = canonicalJson({
    component: { type: "container", name, "bom-ref": "image" },
    tools: {
      components: Object.entries(tools)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([tool, version]) => ({ type: "application", name: tool, version })),
    },
    properties: [
      { name: "bronze:files:unowned", value: String(files.length + unlisted) },
      ...(left === 0 ? [] : [{ name: "bronze:files:unlisted", value: String(left) }]),
      ...unread.map((path) => ({ name: "bronze:unread", value: printable(path) })),
    ],
  });
  const all = [...components.map(([, json]) => json), ...listed.map(fileText)].join(",");
  return `{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX","components":[${all}],"metadata":${metadata},"specVersion":"1.6","version":1}`;
}

/** Canonical JSON of a component that is a file. */
function fileText([path, sha256, size]: FileFact): string {
  // Mostly there is nothing to escape.
  const name = /^[ !#-[\]-~]*$/.test(path) ? path : JSON.stringify(printable(path)).slice(1, -1);
  return `{"bom-ref":"file:${name}","hashes":[{"alg":"SHA-256","content":"${sha256}"}],"name":"/${name}","properties":[{"name":"bronze:size","value":"${size}"}],"type":"file"}`;
}

/** The packages that are found in an image, sorted by their names. */
export function componentsOf(found: ReadonlyMap<BytePath, Found>): readonly Component[] {
  return [...debianComponents(found), ...languageComponents(found)].sort(([a], [b]) => (a < b ? -1 : 1));
}

function debianComponents(found: ReadonlyMap<BytePath, Found>): readonly Component[] {
  const packages = new Map<string, { readonly item: DebianPackage; readonly path: BytePath }>();
  let release = { id: "debian", codename: "" };
  for (const [path, said] of found) {
    if (said.kind === "release" && (path === "etc/os-release" || !found.has("etc/os-release"))) release = said;
    if (said.kind !== "dpkg") continue;
    for (const item of said.packages) packages.set(`${item.name}:${item.architecture}`, { item, path });
  }
  return [...packages.values()].map(({ item, path }) => {
    const copyright = found.get(`usr/share/doc/${item.name}/copyright`);
    const purl = debianPurl(item, release);
    const licences = licenceChoices(copyright?.kind === "copyright" ? copyright.licences : []);
    const json = {
      type: "library",
      "bom-ref": purl,
      name: item.name,
      version: item.version,
      purl,
      ...(licences.length === 0 ? {} : { licenses: licences }),
      evidence: placesOf([path]),
      properties: [
        { name: "bronze:source:name", value: item.source },
        { name: "bronze:source:version", value: item.sourceVersion },
      ],
    };
    return [purl, canonicalJson(json)];
  });
}

function debianPurl(item: DebianPackage, { id, codename }: { readonly id: string; readonly codename: string }): string {
  const upstream =
    item.source === item.name && item.sourceVersion === item.version
      ? undefined
      : item.sourceVersion === item.version
        ? item.source
        : `${item.source}@${item.sourceVersion}`;
  const qualifiers = [
    item.architecture === "" ? [] : [`arch=${item.architecture}`],
    codename === "" ? [] : [`distro=${encodePurl(codename)}`],
    upstream === undefined ? [] : [`upstream=${encodePurl(upstream)}`],
  ].flat();
  const query = qualifiers.length === 0 ? "" : `?${qualifiers.join("&")}`;
  return `pkg:deb/${id}/${encodePurl(item.name)}@${encodePurl(item.version)}${query}`;
}

function languageComponents(found: ReadonlyMap<BytePath, Found>): readonly Component[] {
  const all = new Map<string, { item: LanguagePackage; readonly places: BytePath[]; isInstalled: boolean }>();
  for (const [path, said] of found) {
    if (said.kind !== "installed" && said.kind !== "locked") continue;
    const isInstalled = said.kind === "installed";
    for (const item of said.packages) {
      const purl = languagePurl(item);
      const known = all.get(purl);
      if (known === undefined) {
        all.set(purl, { item, places: [path], isInstalled });
        continue;
      }
      known.places.push(path);
      known.isInstalled ||= isInstalled;
      // Whoever says a licence; of several, the same one whatever the order in which they were found.
      if (item.licence !== "" && (known.item.licence === "" || item.licence < known.item.licence)) known.item = item;
    }
  }
  return [...all].map(([purl, { item, places, isInstalled }]) => {
    const { type, name, version, licence } = item;
    const scope = type === "npm" && name.startsWith("@") ? name.slice(0, name.indexOf("/")) : "";
    const json = {
      type: "library",
      "bom-ref": purl,
      ...(scope === "" ? { name } : { group: scope, name: name.slice(scope.length + 1) }),
      ...(version === "" ? {} : { version }),
      purl,
      ...(licence === "" ? {} : { licenses: licenceChoices([licence]) }),
      evidence: placesOf([...new Set(places)].sort()),
      // A lock file names what may have been left out, or put into a bundle.
      ...(isInstalled ? {} : { properties: [{ name: "bronze:found", value: "lock file only" }] }),
    };
    return [purl, canonicalJson(json)];
  });
}

function languagePurl({ type, name, version }: LanguagePackage): string {
  const path = name.split("/").map(encodePurl).join("/");
  return `pkg:${type}/${path}${version === "" ? "" : `@${encodePurl(version)}`}`;
}

/** Percent-encodes a part of a package URL. @see https://github.com/package-url/purl-spec, "Character encoding" */
function encodePurl(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function placesOf(paths: readonly BytePath[]): Json {
  return { occurrences: paths.slice(0, mostPlaces).map((path) => ({ location: `/${printable(path)}` })) };
}

/** A path as text; bytes that are no UTF-8 show as such, each path as another text. */
function printable(path: BytePath): string {
  if (/^[\x20-\x7e]*$/.test(path)) return path;
  const text = fromBytePath(path);
  return text.includes("\ufffd")
    ? path.replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
    : text;
}
