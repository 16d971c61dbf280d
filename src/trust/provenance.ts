import { isDigest, type Digest, type Json } from "../model/canonical.ts";

/** What Bronze's builds are called in provenance; `docs/provenance.md` says what its parameters mean. */
export const buildType = "urn:bronze:build:v1";
/** Who builds: Bronze on a machine of its owner's; which machine, the key says that signs. */
export const builderId = "urn:bronze:builder:v1";

/** Something that a build took or made. @see in-toto attestation framework, ResourceDescriptor v1 */
export interface Resource {
  readonly name?: string;
  readonly uri?: string;
  /** By algorithm, hex digits: `sha256`, `gitCommit`. */
  readonly digest?: { readonly [algorithm: string]: string };
  readonly mediaType?: string;
  readonly annotations?: { readonly [name: string]: Json };
}

/** Parameters that whoever starts a build has in hand; nothing else may be among them. */
export const externalParameters = [
  "app",
  "build",
  "buildArguments",
  "definition",
  "environment",
  "platform",
  "secretBuildArguments",
  "secrets",
  "target",
] as const;

export type ExternalParameters = Partial<Readonly<Record<(typeof externalParameters)[number], Json>>>;

/** How an artifact was made. @see SLSA provenance v1 */
export interface Provenance {
  readonly buildDefinition: {
    readonly buildType: string;
    readonly externalParameters: ExternalParameters;
    readonly internalParameters: { readonly [name: string]: Json | undefined };
    readonly resolvedDependencies: readonly Resource[];
  };
  readonly runDetails: {
    readonly builder: { readonly id: string; readonly version: { readonly [name: string]: string } };
    readonly byproducts: readonly Resource[];
  };
}

/**
 * Reads the predicate of a provenance statement strictly: Bronze's own kind of build by Bronze's own builder, with no
 * parameter that is not known.
 *
 * @returns in words for people what is wrong with it, where it cannot be believed
 * @see SLSA v1, "Verifying artifacts": unknown external parameters are an error
 */
export function readProvenance(predicate: { readonly [name: string]: Json | undefined }): Provenance | string {
  const definition = asObject(predicate["buildDefinition"]);
  const run = asObject(predicate["runDetails"]);
  const builder = asObject(run?.["builder"]);
  if (definition === undefined || run === undefined || builder === undefined)
    return "its provenance does not say what was built, or by whom";
  if (definition["buildType"] !== buildType)
    return `its provenance is of another kind of build: ${JSON.stringify(definition["buildType"])?.slice(0, 80)}`;
  if (builder["id"] !== builderId)
    return `its provenance names another builder: ${JSON.stringify(builder["id"])?.slice(0, 80)}`;
  const external = asObject(definition["externalParameters"]);
  if (external === undefined) return "its provenance has no external parameters";
  const known: readonly string[] = externalParameters;
  const unknown = Object.keys(external).find((name) => !known.includes(name));
  if (unknown !== undefined) return `its provenance has the unknown external parameter "${unknown.slice(0, 80)}"`;
  const dependencies = readResources(definition["resolvedDependencies"]);
  const byproducts = readResources(run["byproducts"]);
  const version = asObject(builder["version"] ?? {});
  if (dependencies === undefined || byproducts === undefined || version === undefined)
    return "its provenance lists something that is no resource";
  return {
    buildDefinition: {
      buildType,
      externalParameters: external,
      internalParameters: asObject(definition["internalParameters"] ?? {}) ?? {},
      resolvedDependencies: dependencies,
    },
    runDetails: {
      builder: {
        id: builderId,
        version: Object.fromEntries(
          Object.entries(version).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
        ),
      },
      byproducts,
    },
  };
}

/** The sha256 of a resource, where it has one. */
export function digestOf({ digest }: Resource): Digest | undefined {
  const text = `sha256:${digest?.["sha256"] ?? ""}`;
  return isDigest(text) ? text : undefined;
}

/** Resources of a name, in order. */
export function named(resources: readonly Resource[], name: string): readonly Resource[] {
  return resources.filter((resource) => resource.name === name);
}

/** More of them no build has. */
const mostResources = 20_000;

function readResources(value: Json | undefined): readonly Resource[] | undefined {
  if (!Array.isArray(value) || value.length > mostResources) return undefined;
  const list: readonly Json[] = value;
  const resources = list.map(readResource);
  return resources.includes(undefined) ? undefined : (resources as readonly Resource[]);
}

function readResource(value: Json): Resource | undefined {
  const record = asObject(value);
  if (record === undefined) return undefined;
  const { name, uri, digest, mediaType, annotations } = record;
  const digests = asObject(digest ?? {});
  const notes = asObject(annotations ?? {});
  const isText = (text: Json | undefined): text is string | undefined => text === undefined || typeof text === "string";
  if (!isText(name) || !isText(uri) || !isText(mediaType) || digests === undefined || notes === undefined)
    return undefined;
  if (Object.values(digests).some((hex) => typeof hex !== "string")) return undefined;
  return {
    ...(name === undefined ? {} : { name }),
    ...(uri === undefined ? {} : { uri }),
    ...(digest === undefined ? {} : { digest: digests as { readonly [algorithm: string]: string } }),
    ...(mediaType === undefined ? {} : { mediaType }),
    ...(annotations === undefined ? {} : { annotations: notes as { readonly [name: string]: Json } }),
  };
}

function asObject(value: unknown): { readonly [name: string]: Json | undefined } | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [name: string]: Json | undefined })
    : undefined;
}
