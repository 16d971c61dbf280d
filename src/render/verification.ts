import type { Digest } from "../model/canonical.ts";
import { shortKey } from "../trust/key-log.ts";
import type { BundleVerdict } from "../trust/verify.ts";
import type { Paint } from "./paint.ts";
import { renderTable } from "./table.ts";

/** What is told of a verification. */
export interface VerificationReport {
  readonly artifact: Digest;
  readonly ok: boolean;
  readonly parts: readonly { readonly digest: Digest; readonly size: number; readonly problem: string | null }[];
  readonly bundles: readonly BundleVerdict[];
}

/** Each thing that was verified on a line. */
export function renderVerification(
  { artifact, ok, parts, bundles }: VerificationReport,
  paint: Paint,
): readonly string[] {
  const bytes = parts.reduce((sum, { size }) => sum + size, 0);
  const broken = parts.filter(({ problem }) => problem !== null);
  const mark = (problem: string | null): string => (problem === null ? paint.good("ok") : paint.bad("no"));
  const rows = [
    [mark(null), "manifest", artifact],
    ...broken.map(({ digest, problem }) => [mark(problem), "blob", `${digest} ${problem ?? ""}`]),
    ...(broken.length > 0
      ? []
      : [[mark(null), "blobs", `config and ${parts.length - 1} layers, ${Math.ceil(bytes / 1e6)} MB hashed`]]),
    ...[...bundles]
      .sort((a, b) => ((a.predicateType ?? "") < (b.predicateType ?? "") ? -1 : 1))
      .map(({ predicateType, key, problem }) => [
        mark(problem),
        predicateType ?? "a bundle",
        problem ?? `signed by key ${key === null ? "?" : shortKey(key)}`,
      ]),
  ];
  return [...renderTable(rows), ...(ok ? [`verified ${artifact}`] : [])];
}
