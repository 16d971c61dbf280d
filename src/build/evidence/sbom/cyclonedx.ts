import { fromBytePath, type BytePath } from "../../../image/tar-entry.ts";
import type { Json } from "../../../model/canonical.ts";
import type { DebianPackage, LanguagePackage } from "./found.ts";
import type { ImageFacts } from "./joined.ts";
import { licenceChoices } from "./licences.ts";

/** What a bill of materials is of, and who made it. */
export interface BillOptions {
  /** Of the image: a name, as far as there is one. */
  readonly name: string;
  /** Versions of what made it, by name. */
  readonly tools: { readonly [name: string]: string };
}

/** A bill of materials as CycloneDX has it: the predicate of a statement. */
export type Bill = { readonly [name: string]: Json };

/** Files of nobody that are listed, first of all in the order of their paths. */
const mostFiles = 5000;
const mostPlaces = 20;

/**
 * The bill of materials of an image: Debian packages, those of npm, PyPI and Go modules that are found in it, and files that
 * belong to none of them. Equal images give equal bills.
 *
 * @see CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/
 */
export function writeBill(facts: ImageFacts, { name, tools }: BillOptions): Bill {
  const components = [...debianComponents(facts), ...languageComponents(facts)].sort((a, b) =>
    a.ref < b.ref ? -1 : 1,
  );
  const files = [...facts.files.values()].sort(([a], [b]) => (a < b ? -1 : 1));
  const listed = files.slice(0, mostFiles);
  const unlisted = facts.unlisted + files.length - listed.length;
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: { type: "container", name, "bom-ref": "image" },
      tools: {
        components: Object.entries(tools)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([tool, version]) => ({ type: "application", name: tool, version })),
      },
      properties: [
        { name: "bronze:files:unowned", value: String(files.length + facts.unlisted) },
        ...(unlisted === 0 ? [] : [{ name: "bronze:files:unlisted", value: String(unlisted) }]),
        ...facts.unread.map((path) => ({ name: "bronze:unread", value: printable(path) })),
      ],
    },
    components: [
      ...components.map(({ json }) => json),
      ...listed.map(([path, sha256, size]) => ({
        type: "file",
        "bom-ref": `file:${printable(path)}`,
        name: `/${printable(path)}`,
        hashes: [{ alg: "SHA-256", content: sha256 }],
        properties: [{ name: "bronze:size", value: String(size) }],
      })),
    ],
  };
}

interface Component {
  readonly ref: string;
  readonly json: Json;
}

function debianComponents({ found }: ImageFacts): readonly Component[] {
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
    const properties = [
      ["bronze:source:name", item.source],
      ["bronze:source:version", item.sourceVersion],
    ].map(([name, value]) => ({ name: name ?? "", value: value ?? "" }));
    return {
      ref: purl,
      json: {
        type: "library",
        "bom-ref": purl,
        name: item.name,
        version: item.version,
        purl,
        ...(licences.length === 0 ? {} : { licenses: licences }),
        evidence: placesOf([path]),
        properties,
      },
    };
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

function languageComponents({ found }: ImageFacts): readonly Component[] {
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
      if (known.item.licence === "") known.item = item;
    }
  }
  return [...all].map(([purl, { item, places, isInstalled }]) => {
    const { type, name, version, licence } = item;
    const scope = type === "npm" && name.startsWith("@") ? name.slice(0, name.indexOf("/")) : "";
    return {
      ref: purl,
      json: {
        type: "library",
        "bom-ref": purl,
        ...(scope === "" ? { name } : { group: scope, name: name.slice(scope.length + 1) }),
        ...(version === "" ? {} : { version }),
        purl,
        ...(licence === "" ? {} : { licenses: licenceChoices([licence]) }),
        evidence: placesOf(places.sort()),
        // A lock file names what may have been left out, or put into a bundle.
        ...(isInstalled ? {} : { properties: [{ name: "bronze:found", value: "lock file only" }] }),
      },
    };
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
  const text = fromBytePath(path);
  return text.includes("\ufffd")
    ? path.replace(/[^\x20-\x7e]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
    : text;
}
