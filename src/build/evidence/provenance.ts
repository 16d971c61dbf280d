import { digestHex, type Digest, type Json } from "../../model/canonical.ts";
import type { BuildDefinition } from "../../model/definition.ts";
import { builderId, buildType, type Provenance, type Resource } from "../../trust/provenance.ts";
import type { PinnedPackage } from "../debian/pins.ts";
import { hasSecretName } from "../secrets/refuse.ts";
import { scanText } from "../secrets/scanner.ts";
import type { Source } from "../source.ts";
import type { RunRecord } from "./log.ts";
import type { Material } from "./materials.ts";
import type { BuildFacts, StepFact } from "./recorder.ts";

/** Where the definition of a build stands. */
export interface DefinitionPlace {
  readonly app: string;
  /** Relative to the project's folder. */
  readonly path: string;
  /** Of the file's bytes. */
  readonly digest: Digest;
}

/** All that provenance tells of, as data. */
export interface ProvenanceInput {
  readonly place: DefinitionPlace;
  readonly build: Exclude<BuildDefinition, { readonly kind: "image" }>;
  /** As given with the command. */
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly secrets: readonly string[];
  /** Where it was set: SOURCE_DATE_EPOCH. */
  readonly givenEpoch: string | undefined;
  readonly platform: string;
  readonly source: Source;
  readonly facts: BuildFacts;
  readonly runs: ReadonlyMap<StepFact, RunRecord>;
  /** What of bronze.lock was used; undefined: nothing. */
  readonly lock: { readonly digest: Digest; readonly published?: string } | undefined;
  readonly context: { readonly digest: Digest; readonly isKept: boolean; readonly isWithheld: boolean };
  /** What is kept of the context: its list, its contents. */
  readonly contextMaterials: readonly Material[];
  readonly log: Material;
  /** Outputs of steps that are kept. */
  readonly kept: ReadonlySet<Digest>;
  readonly tools: { readonly [name: string]: string };
}

/** What resources of a provenance are called, by which rebuilding finds them. */
export const resourceNames = {
  source: "source",
  definition: "definition",
  context: "context",
  contextPart: "part of the context",
  base: "base image",
  lock: "bronze.lock",
  package: "Debian package",
  download: "download",
  log: "build log",
  step: "step",
} as const;

/** The provenance of a build: equal builds, equal provenance, whenever and wherever they were made. */
export function makeProvenance(input: ProvenanceInput): Provenance {
  const { build, source, facts, lock } = input;
  const { args, secretArgs } = withoutSecrets(input.buildArgs);
  const defined = build.kind === "dockerfile" ? withoutSecrets(Object.entries(build.args ?? {})) : undefined;
  const definition =
    build.kind === "dockerfile" && build.args !== undefined ? { ...build, args: defined?.args } : build;
  const secretNames = [...new Set([...secretArgs, ...(defined?.secretArgs ?? [])])].sort();
  return {
    buildDefinition: {
      buildType,
      externalParameters: {
        app: input.place.app,
        definition: input.place.path,
        build: definition as unknown as Json,
        platform: input.platform,
        ...(input.target === undefined ? {} : { target: input.target }),
        ...(Object.keys(args).length === 0 ? {} : { buildArguments: args }),
        ...(secretNames.length === 0 ? {} : { secretBuildArguments: secretNames }),
        ...(input.secrets.length === 0 ? {} : { secrets: [...input.secrets].sort() }),
        ...(input.givenEpoch === undefined ? {} : { environment: { SOURCE_DATE_EPOCH: input.givenEpoch } }),
      },
      internalParameters: {
        sourceDateEpoch: source.epoch,
        ...(lock?.published === undefined ? {} : { published: lock.published }),
      },
      resolvedDependencies: [
        ...sourceResource(source),
        { name: resourceNames.definition, uri: input.place.path, digest: sha256Of(input.place.digest) },
        {
          name: resourceNames.context,
          digest: sha256Of(input.context.digest),
          annotations: { kept: input.context.isKept, ...(input.context.isWithheld ? { withheld: true } : {}) },
        },
        ...input.contextMaterials.map((part) => materialResource(resourceNames.contextPart, part)),
        ...facts.bases.map(({ name, platform, digest }) => ({
          name: resourceNames.base,
          uri: `oci:${name}`,
          digest: sha256Of(digest),
          annotations: { platform },
        })),
        ...(lock === undefined ? [] : [{ name: resourceNames.lock, digest: sha256Of(lock.digest) }]),
        ...facts.packages.map(packageResource),
        ...downloadsOf(facts),
      ],
    },
    runDetails: {
      builder: { id: builderId, version: input.tools },
      byproducts: [
        materialResource(resourceNames.log, input.log),
        ...facts.steps.map((step) => stepResource(step, input)),
      ],
    },
  };
}

function sourceResource({ repository, commit, dirty, folder }: Source): readonly Resource[] {
  if (commit === null) return [];
  const annotations = { ...(dirty ? { dirty } : {}), ...(folder === "" ? {} : { folder }) };
  return [
    {
      name: resourceNames.source,
      ...(repository === null ? {} : { uri: `git+${repository}@${commit}` }),
      digest: { gitCommit: commit },
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  ];
}

/** The form of a Debian package's place; `readPackage` reads it. */
function packageResource(item: PinnedPackage): Resource {
  return {
    name: resourceNames.package,
    uri: `pkg:deb/debian/${item.name}@${encodeURIComponent(item.version)}?arch=${item.architecture}`,
    digest: { sha256: item.sha256 },
    annotations: {
      package: item.name,
      version: item.version,
      architecture: item.architecture,
      from: `${item.archive}/${item.path}`,
      size: item.sizeBytes,
      source: `${item.source.name} ${item.source.version}`,
    },
  };
}

function downloadsOf({ steps }: BuildFacts): readonly Resource[] {
  const all = new Map(steps.flatMap(({ downloads = [] }) => downloads.map((one) => [one.address, one] as const)));
  return [...all.values()].map(({ address, digest, size }) => ({
    name: resourceNames.download,
    uri: withoutCredentials(address),
    digest: sha256Of(digest),
    annotations: { size },
  }));
}

/** What a step was and what came of it. Counts of packets differ from day to day; whether there were any does not. */
function stepResource(step: StepFact, { runs, kept }: ProvenanceInput): Resource {
  const { layer, run } = step;
  const record = runs.get(step);
  return {
    name: `${resourceNames.step} ${step.name}`,
    ...(layer === null ? {} : { digest: sha256Of(layer.diffId), mediaType: layer.descriptor.mediaType }),
    annotations: {
      instruction: step.text,
      ...(layer === null ? {} : { size: layer.descriptor.size }),
      ...(run === undefined
        ? {}
        : {
            key: run.key,
            network: run.network,
            usedNetwork: run.usedNetwork,
            ...(run.secrets.length === 0 ? {} : { secrets: run.secrets }),
            ...(record === undefined ? {} : { tools: record.tools }),
            ...(run.aside === null
              ? {}
              : {
                  aside: {
                    digest: run.aside.diffId,
                    size: run.aside.descriptor.size,
                    kept: kept.has(run.aside.diffId),
                  },
                }),
          }),
      ...(layer === null ? {} : { kept: kept.has(layer.diffId) }),
    },
  };
}

function materialResource(name: string, { descriptor, title }: Material): Resource {
  return {
    name,
    digest: sha256Of(descriptor.digest),
    mediaType: descriptor.mediaType,
    annotations: { title, size: descriptor.size },
  };
}

/** Values of arguments whose names say that they are secret, and of proxies, are left out. */
function withoutSecrets(args: Iterable<readonly [name: string, value: string]>): {
  readonly args: { readonly [name: string]: string };
  readonly secretArgs: readonly string[];
} {
  const all = [...args].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    args: Object.fromEntries(all.filter((one) => !isSecret(one))),
    secretArgs: all.filter(isSecret).map(([name]) => name),
  };
}

/** By its name, or by what the value looks like. */
function isSecret([name, value]: readonly [name: string, value: string]): boolean {
  return hasSecretName(name) || scanText(value, []).length > 0;
}

function withoutCredentials(address: string): string {
  const url = new URL(address);
  url.username = url.password = "";
  return url.href;
}

function sha256Of(digest: Digest): { readonly sha256: string } {
  return { sha256: digestHex(digest) };
}
