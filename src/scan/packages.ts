import { OperatorError } from "../errors/operator-error.ts";
import { debianEcosystem, oneLine, packageName, type Ecosystem } from "./advisory.ts";
import { asArray, asObject, asText, type Fields } from "./fields.ts";
import { parsePurl, type Purl } from "./purl.ts";
import { versionOrder } from "./version-order.ts";

/** A package of an artifact, and what vulnerabilities know it by. */
export interface ListedPackage {
  readonly purl: string;
  /** As it is installed: `libc6`. */
  readonly name: string;
  readonly version: string;
  /** Licences as the bill says them: SPDX expressions or names; empty: it says none. */
  readonly licences: readonly string[];
  /** Whom to look up; null: nothing that is imported tells of such packages. */
  readonly lookUp: LookUp | null;
  /** Why `lookUp` is null, in words; empty otherwise. */
  readonly reason: string;
}

/** The key of an advisory. */
export interface LookUp {
  readonly ecosystem: Ecosystem;
  /** Of Debian's, the source package. */
  readonly name: string;
  /** As the ecosystem's order takes it; of Debian's, the source package's. */
  readonly version: string;
}

const mostComponents = 200_000;
const mostDepth = 50;

/**
 * The packages that a bill of materials lists, sorted by purl. Components without a purl (files, the image itself) are none.
 *
 * @param bill parsed CycloneDX JSON of unknown origin
 * @throws {OperatorError} `ARGUMENT_INVALID` when it is none
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export function readPackages(bill: unknown): readonly ListedPackage[] {
  const fields = asObject(bill);
  if (fields?.["bomFormat"] !== "CycloneDX") throw noBill("it is no CycloneDX bill of materials in JSON");
  const found = new Map<string, ListedPackage>();
  let count = 0;
  const walk = (components: unknown, depth: number): void => {
    if (depth > mostDepth) throw noBill("its components lie too deep in each other");
    for (const item of asArray(components)) {
      const component = asObject(item);
      if (component === undefined) continue;
      count += 1;
      if (count > mostComponents) throw noBill(`it has more than ${mostComponents} components`);
      const listed = readComponent(component);
      if (listed !== undefined) found.set(listed.purl, listed);
      walk(component["components"], depth + 1);
    }
  };
  walk(fields["components"], 1);
  return [...found.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
}

function readComponent(component: Fields): ListedPackage | undefined {
  const text = asText(component["purl"]);
  const purl = text === undefined ? undefined : parsePurl(text);
  if (text === undefined || purl === undefined) return undefined;
  const where = lookUpOf(purl, component);
  return {
    purl: text,
    name: purl.namespace === "" || purl.type === "deb" ? purl.name : `${purl.namespace}/${purl.name}`,
    version: purl.version,
    licences: licencesOf(component),
    ...(typeof where === "string" ? { lookUp: null, reason: where } : { lookUp: where, reason: "" }),
  };
}

/** Whom to look up, or in words why nobody can be. */
function lookUpOf(purl: Purl, component: Fields): LookUp | string {
  const whole = purl.namespace === "" ? purl.name : `${purl.namespace}/${purl.name}`;
  switch (purl.type) {
    case "deb":
      return debianLookUp(purl, component);
    case "npm":
      return named("npm", whole, purl.version);
    case "pypi":
      return named("PyPI", purl.name, purl.version);
    case "golang":
      return named("Go", whole, purl.version);
    default:
      return `no data tells of ${oneLine(purl.type, 40)} packages`;
  }
}

function named(ecosystem: Ecosystem, name: string, version: string): LookUp | string {
  const normal = versionOrder(ecosystem).normal(version);
  if (normal === null) return `"${oneLine(version, 60)}" is no version of ${ecosystem}`;
  return { ecosystem, name: packageName(ecosystem, name), version: normal };
}

/**
 * By the source package: as the component's properties say it, or the purl's `upstream` (`glibc@2.36-9`); else binary and source
 * have one name, and one version but for the number of a rebuild (`+b1`).
 */
function debianLookUp(purl: Purl, component: Fields): LookUp | string {
  const distro = purl.qualifiers.get("distro") ?? "";
  const ecosystem = purl.namespace === "debian" ? debianEcosystem(distro) : undefined;
  if (ecosystem === undefined)
    return distro === "" ? "of no release that is said" : `of ${oneLine(distro, 40)}, no release of Debian's`;
  const [upstream = "", upstreamVersion = ""] = (purl.qualifiers.get("upstream") ?? "").split("@");
  const source = property(component, "bronze:source:name") ?? (upstream || purl.name);
  const sourceVersion =
    property(component, "bronze:source:version") ?? (upstreamVersion || purl.version.replace(/\+b[0-9]+$/, ""));
  return named(ecosystem, source, sourceVersion);
}

function property(component: Fields, name: string): string | undefined {
  const found = asArray(component["properties"]).find((item) => asObject(item)?.["name"] === name);
  return asText(asObject(found)?.["value"]) || undefined;
}

function licencesOf(component: Fields): readonly string[] {
  const said = asArray(component["licenses"]).flatMap((item) => {
    const choice = asObject(item);
    const licence = asObject(choice?.["license"]);
    return asText(choice?.["expression"]) ?? asText(licence?.["id"]) ?? asText(licence?.["name"]) ?? [];
  });
  return [...new Set(said.map((text) => oneLine(text, 200)))].sort();
}

function noBill(what: string): OperatorError {
  return new OperatorError("ARGUMENT_INVALID", `Cannot read the bill of materials: ${what}`, {
    hint: "give CycloneDX JSON, as `bronze sbom` prints it",
  });
}
