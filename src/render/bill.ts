import type { Digest, Json } from "../model/canonical.ts";
import { renderTable } from "./table.ts";

interface Row {
  readonly type?: string;
  readonly group?: string;
  readonly name?: string;
  readonly version?: string;
  readonly purl?: string;
  readonly licenses?: readonly {
    readonly expression?: string;
    readonly license?: { readonly id?: string; readonly name?: string };
  }[];
}

/** What a bill of materials lists, a package a line; files are counted. */
export function renderBill(
  artifact: Digest,
  bill: { readonly [name: string]: Json | undefined },
  origin: "signed" | "made now",
): readonly string[] {
  const components = (Array.isArray(bill["components"]) ? bill["components"] : []) as readonly Row[];
  const packages = components.filter(({ purl }) => purl !== undefined);
  const rows = packages.map(({ group, name = "", version = "", purl = "", licenses = [] }) => [
    /^pkg:([a-z]+)/.exec(purl)?.[1] ?? "",
    group === undefined ? name : `${group}/${name}`,
    version,
    licenses.map(({ expression, license }) => expression ?? license?.id ?? license?.name ?? "").join(", "),
  ]);
  const files = unownedFiles(bill) ?? components.filter(({ type }) => type === "file").length;
  const how = origin === "signed" ? "signed when it was built" : "made now, and not signed";
  return [
    ...renderTable([["KIND", "PACKAGE", "VERSION", "LICENCES"], ...rows]),
    `${packages.length} packages, and ${files} files that belong to none, in ${artifact}; ${how}`,
  ];
}

function unownedFiles(bill: { readonly [name: string]: Json | undefined }): number | undefined {
  const { properties } = (bill["metadata"] ?? {}) as {
    readonly properties?: readonly { readonly name?: string; readonly value?: string }[];
  };
  const said = properties?.find(({ name }) => name === "bronze:files:unowned")?.value;
  return said === undefined ? undefined : Number(said);
}
