import { OperatorError } from "../../errors/operator-error.ts";
import { mediaTypes } from "../../image/media-types.ts";
import { isDigest, type Digest, type Json } from "../../model/canonical.ts";
import type { BuildDefinition } from "../../model/definition.ts";
import { digestOf, named, type Provenance, type Resource } from "../../trust/provenance.ts";
import { parsePins, type DebianPins } from "../debian/pins.ts";
import { resourceNames } from "../evidence/provenance.ts";
import { materialTypes } from "../evidence/materials.ts";

/** A step whose output is taken as it was, for what it got from the network cannot be had again. */
export interface ReplayedStep {
  readonly name: string;
  readonly instruction: string;
  /** What the step is found by. */
  readonly key: Digest;
  /** Plain tar; null: nothing changed. */
  readonly layer: { readonly digest: Digest; readonly size: number } | null;
  readonly aside: { readonly digest: Digest; readonly size: number } | null;
}

/** What a build is made again from: all of it out of its provenance. */
export interface RebuildPlan {
  readonly app: string;
  readonly build: Exclude<BuildDefinition, { readonly kind: "image" }>;
  readonly platform: string;
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Names of arguments whose values nobody wrote down. */
  readonly secretArgs: readonly string[];
  /** Names of secrets that steps may have seen. */
  readonly secrets: readonly string[];
  readonly epoch: number;
  readonly source: {
    readonly commit: string;
    readonly dirty: boolean;
    readonly folder: string;
    /** Where others have it; null: nobody said. */
    readonly address: string | null;
  } | null;
  /** Digest of the list of files that were used, and where they are where they are kept. */
  readonly context: {
    readonly digest: Digest;
    readonly kept: { readonly layers: readonly Digest[]; readonly contents: Digest | undefined } | null;
  };
  readonly bases: readonly { readonly name: string; readonly platform: string; readonly digest: Digest }[];
  readonly debian: DebianPins | null;
  readonly downloads: readonly { readonly address: string; readonly digest: Digest }[];
  readonly replayed: readonly ReplayedStep[];
}

/**
 * Reads what is needed to make an artifact again.
 *
 * @throws {OperatorError} `VERIFICATION_FAILED` where provenance lacks or garbles it
 */
export function planRebuild(provenance: Provenance): RebuildPlan {
  const { externalParameters: given, internalParameters, resolvedDependencies: taken } = provenance.buildDefinition;
  const build = given.build as unknown as RebuildPlan["build"] | undefined;
  const epoch = internalParameters["sourceDateEpoch"];
  const context = need(named(taken, resourceNames.context)[0], "the files it was made of");
  if (context.annotations?.["withheld"] === true)
    throw new OperatorError("NOT_FOUND", "Cannot make it again: the files that it was built of were not kept", {
      hint: "something in them looked like a secret, and what is kept is sent with the artifact; commit what the build uses, keep secrets out by .dockerignore, and build again",
    });
  const parts = named(taken, resourceNames.contextPart);
  const part = (type: string): readonly Digest[] =>
    parts.filter(({ mediaType }) => mediaType === type).map((one) => need(digestOf(one), "a part of its files"));
  if (build?.kind !== "dockerfile" && build?.kind !== "debian") throw incomplete("what it was built from");
  if (typeof epoch !== "number" || !Number.isSafeInteger(epoch)) throw incomplete("the time of its files");
  const packages = named(taken, resourceNames.package);
  return {
    app: text(given.app),
    build,
    platform: text(given.platform),
    target: typeof given.target === "string" ? given.target : undefined,
    buildArgs: new Map(Object.entries(record(given.buildArguments)).map(([name, value]) => [name, text(value)])),
    secretArgs: texts(given.secretBuildArguments),
    secrets: texts(given.secrets),
    epoch,
    source: sourceOf(named(taken, resourceNames.source)[0]),
    context: {
      digest: need(digestOf(context), "the files it was made of"),
      kept:
        context.annotations?.["kept"] === true
          ? { layers: part(mediaTypes.layer), contents: part(materialTypes.contextContents)[0] }
          : null,
    },
    bases: named(taken, resourceNames.base).map((base) => ({
      name: text(base.uri).replace(/^oci:/, ""),
      platform: text(base.annotations?.["platform"]),
      digest: need(digestOf(base), "its base"),
    })),
    debian: build.kind === "debian" ? pinsOf(packages, text(internalParameters["published"])) : null,
    downloads: named(taken, resourceNames.download).map((one) => ({
      address: text(one.uri),
      digest: need(digestOf(one), "a download"),
    })),
    replayed: provenance.runDetails.byproducts.flatMap((one) => replayedOf(one) ?? []),
  };
}

function sourceOf(source: Resource | undefined): RebuildPlan["source"] {
  if (source === undefined) return null;
  const commit = source.digest?.["gitCommit"] ?? "";
  if (!/^[0-9a-f]{40,64}$/.test(commit)) throw incomplete("its commit");
  const folder = text(source.annotations?.["folder"]);
  if (folder.startsWith("/") || folder.split("/").includes("..")) throw incomplete("its folder in the repository");
  const address = /^git\+(.+)@[0-9a-f]+$/.exec(source.uri ?? "")?.[1] ?? null;
  return { commit, dirty: source.annotations?.["dirty"] === true, folder, address };
}

function replayedOf({ name = "", digest, annotations = {}, ...rest }: Resource): ReplayedStep | undefined {
  const { key, usedNetwork, instruction, size, aside } = annotations;
  if (usedNetwork !== true || typeof key !== "string") return undefined;
  if (!isDigest(key)) throw incomplete(`what ${name} did`);
  const layer = digest === undefined ? undefined : digestOf({ digest, ...rest });
  const left = record(aside);
  const leftDigest = text(left["digest"]);
  return {
    name: name.replace(/^step /, ""),
    instruction: text(instruction),
    key,
    layer: layer === undefined ? null : { digest: layer, size: Number(size) },
    aside: isDigest(leftDigest) ? { digest: leftDigest, size: Number(left["size"]) } : null,
  };
}

function pinsOf(packages: readonly Resource[], published: string): DebianPins {
  const fields = packages.map(({ digest, annotations = {} }) => {
    const { package: name, version, architecture, from, size, source } = annotations;
    return [text(name), { version, architecture, from, size, source, sha256: digest?.["sha256"] }] as const;
  });
  return parsePins({ published, packages: Object.fromEntries(fields) }, "of the provenance");
}

function record(value: Json | undefined): { readonly [name: string]: Json | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [name: string]: Json | undefined })
    : {};
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function texts(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? (value as readonly Json[]).map(text) : [];
}

function need<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw incomplete(what);
  return value;
}

function incomplete(what: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot make it again: its provenance does not say ${what}`, {
    hint: "build it once more with `bronze build`; what that one says is complete",
  });
}
