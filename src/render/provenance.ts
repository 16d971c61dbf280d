import type { Digest, Json } from "../model/canonical.ts";
import type { Provenance, Resource } from "../trust/provenance.ts";
import type { Paint } from "./paint.ts";
import { renderTable } from "./table.ts";

/** How an artifact was made, in lines for people. */
export function renderProvenance(artifact: Digest, provenance: Provenance, paint: Paint): readonly string[] {
  const { buildDefinition, runDetails } = provenance;
  const { externalParameters: given, resolvedDependencies: taken } = buildDefinition;
  const source = taken.find(({ name }) => name === "source");
  const context = taken.find(({ name }) => name === "context");
  const packages = taken.filter(({ name }) => name === "Debian package").length;
  const steps = runDetails.byproducts.filter(({ name }) => name?.startsWith("step ") === true);
  const rows = [
    ["artifact", artifact],
    ["definition", `${text(given.definition)} of ${text(given.app)}`],
    ["source", source === undefined ? "no commit" : describeSource(source)],
    ["files", context?.annotations?.["kept"] === true ? "kept beside the artifact" : "those of the commit"],
    ...taken
      .filter(({ name }) => name === "base image" || name === "download")
      .map(({ name, uri = "", digest }) => [name ?? "", `${uri} sha256:${digest?.["sha256"] ?? ""}`]),
    ...(packages === 0 ? [] : [["packages", `${packages} Debian packages, each by its sha256`]]),
    ...Object.entries((given.buildArguments ?? {}) as { readonly [name: string]: string }).map(([name, value]) => [
      "argument",
      `${name}=${value}`,
    ]),
    ...names(given.secretBuildArguments).map((name) => ["argument", `${name}, whose value is not told`]),
    ...names(given.secrets).map((name) => ["secret", name]),
    [
      "built by",
      Object.entries(runDetails.builder.version)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ],
  ];
  return [...renderTable(rows), "", ...renderTable(steps.map((step) => describeStep(step, paint)))];
}

function describeSource({ uri, digest, annotations }: Resource): string {
  const commit = digest?.["gitCommit"] ?? "";
  const where = uri === undefined ? commit : uri;
  return annotations?.["dirty"] === true ? `${where}, with changes that were not committed` : where;
}

function describeStep({ name = "", annotations = {} }: Resource, paint: Paint): readonly string[] {
  const { instruction, network, usedNetwork, kept } = annotations;
  const net =
    network === undefined
      ? ""
      : network === "none"
        ? "no network"
        : usedNetwork === true
          ? paint.warn(kept === true ? "used the network; what it made is kept" : "used the network")
          : "network not used";
  return [name, text(instruction).replace(/\s+/g, " ").slice(0, 100), net];
}

function names(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? (value as readonly Json[]).map(text) : [];
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
