import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import { exitStatusByCode } from "../../errors/codes.ts";
import {
  renderLicences,
  renderScan,
  renderScanDifference,
  renderScanSummary,
  renderSubject,
} from "../../render/scan.ts";
import { compareFindings, type ScanDifference } from "../../scan/match.ts";
import { countStates, isFound, scanPackages, type ScanResult } from "../../scan/result.ts";
import type { ImportResult } from "../../vulnerabilities/import.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { openKeyring } from "../keyring.ts";
import { packagesOf, readBill } from "../scan/bill.ts";
import { openData, scanArtifact, type KeptResult } from "../scan/scan.ts";
import { findSubjects, liveSubjects, type Subject } from "../scan/subjects.ts";

const progressMs = 3_000;

interface ScanOptions extends SharedOptions {
  readonly file?: string;
  readonly sbom?: string;
  readonly import?: string;
  readonly add?: boolean;
  readonly licences?: boolean;
  readonly all?: boolean;
}

export function scanCommand(): Command {
  return withShared(new Command("scan"))
    .description(
      "Looks the packages of an artifact up in imported data on vulnerabilities: exit 3 when it has any that Debian does not mean to leave. The result is signed and kept beside the artifact. Nothing is fetched.",
    )
    .argument(
      "[artifact]",
      "app, whose live artifacts are meant, or digest or name in the store (default: this folder's app)",
    )
    .option("--import <file>", "take in data first: OSV (zip, JSON, JSON lines) or Debian's security tracker (JSON)")
    .option("--add", "with --import: keep earlier data on the same ecosystems beside it")
    .option("--sbom <file>", "packages of a CycloneDX file in place of an artifact's")
    .option("--licences", "list the packages by licence; no data is needed")
    .option("--all", "show also what Debian means to leave as it is")
    .option("--file <path>", "definition")
    .action(async (artifact: string | undefined, options: ScanOptions) => {
      checkOptions(artifact, options);
      const context = createContext(options, "what was imported stays; run `bronze scan` again for the rest");
      if (options.licences === true) return showLicences(context, artifact, options);
      const imported =
        options.import === undefined ? null : await importFile(context, options.import, options.add === true);
      if (options.sbom !== undefined) return scanFile(context, options.sbom, options);
      const subjects =
        imported !== null && artifact === undefined
          ? await afterImport(context)
          : await findSubjects(context, openStore(context), artifact, options.file);
      await scanSubjects(context, subjects, options, imported);
    });
}

function checkOptions(artifact: string | undefined, { sbom, add, import: file, licences }: ScanOptions): void {
  const problem =
    sbom !== undefined && artifact !== undefined
      ? "an artifact and --sbom are both given"
      : add === true && file === undefined
        ? "--add is given without --import"
        : licences === true && file !== undefined
          ? "--licences and --import are both given"
          : undefined;
  if (problem !== undefined)
    throw new OperatorError("USAGE", `Cannot scan: ${problem}`, {
      hint: "`bronze scan --help` shows what goes together",
    });
}

async function importFile(context: Context, path: string, add: boolean): Promise<ImportResult> {
  const { output, places, signal } = context;
  // Scans are many, imports are few: what reads files of data is loaded for them only.
  const { importVulnerabilities } = await import("../../vulnerabilities/import.ts");
  const result = await importVulnerabilities(places.state, path, {
    add,
    nowMs: Date.now(),
    signal,
    onRead: sayNowAndThen(context),
  });
  const { imported, problems, isKnown } = result;
  const { records, ecosystems, lastUpdate, problems: count } = imported;
  output.note(
    `${isKnown ? "known already:" : "imported"} ${records} ${records === 1 ? "entry" : "entries"} on packages of ${ecosystems.join(", ")}, as of ${lastUpdate.slice(0, 10)}`,
  );
  for (const problem of problems) output.note(`${output.paint.warn("not used:")} ${problem}`);
  if (count > problems.length) output.note(`and ${count - problems.length} more that could not be used`);
  return result;
}

/** What may take a minute tells how far it is. */
function sayNowAndThen({ output }: Context): (entries: number) => void {
  let saidAt = performance.now();
  return (entries) => {
    if (performance.now() - saidAt < progressMs) return;
    saidAt = performance.now();
    output.note(output.paint.dim(`  ${entries} entries read`));
  };
}

/** Everything that is live: new data may say what the old did not. */
async function afterImport(context: Context): Promise<readonly Subject[]> {
  const live = await liveSubjects(context);
  if (live === null) context.output.note("no daemon runs here: nothing was scanned");
  else if (live.length === 0) context.output.note("nothing is live: nothing was scanned");
  return live ?? [];
}

async function scanSubjects(
  context: Context,
  subjects: readonly Subject[],
  options: ScanOptions,
  imported: ImportResult | null,
): Promise<void> {
  const { output } = context;
  const isImport = imported !== null;
  const store = openStore(context);
  const keyring = openKeyring(context);
  const data = await openData(context);
  const records: unknown[] = [];
  let found = false;
  let failed: unknown;
  try {
    for (const { artifact, liveAs } of subjects) {
      let kept: KeptResult;
      try {
        kept = await scanArtifact(context, { store, keyring, data }, artifact);
      } catch (error) {
        // One that cannot be scanned keeps none of the others from it.
        context.signal.throwIfAborted();
        if (subjects.length === 1) throw error;
        failed ??= error;
        output.note(
          `${output.paint.bad("not scanned:")} ${renderSubject(artifact, liveAs)}: ${(error as Error).message}`,
        );
        continue;
      }
      const { result, before, isNew } = kept;
      const changes = before === null ? null : compareFindings(before, result.findings);
      if (subjects.length > 1 || liveAs.length > 0) output.line(output.paint.bold(renderSubject(artifact, liveAs)));
      const all = options.all === true;
      const lines =
        isImport && changes !== null
          ? [...changeLines(changes), ...renderScanSummary(result, all, output.paint)]
          : renderScan(result, all, output.paint);
      for (const line of lines) output.line(line);
      records.push({ artifact, liveAs, ...recordOf(result), isNew, changes });
      found ||= isFound(result.findings);
    }
  } finally {
    data.close();
  }
  output.record(isImport ? { ...imported, scanned: records } : records);
  if (failed !== undefined) throw failed;
  if (found) process.exitCode = exitStatusByCode.DRIFT_FOUND;
}

async function scanFile(context: Context, path: string, options: ScanOptions): Promise<void> {
  const { output } = context;
  const packages = await readBill(path);
  const data = await openData(context);
  try {
    const result = scanPackages(packages, data);
    if (!output.json) for (const line of renderScan(result, options.all === true, output.paint)) output.line(line);
    output.record(recordOf(result));
    if (isFound(result.findings)) process.exitCode = exitStatusByCode.DRIFT_FOUND;
  } finally {
    data.close();
  }
}

async function showLicences(context: Context, artifact: string | undefined, options: ScanOptions): Promise<void> {
  const { output } = context;
  const store = openStore(context);
  const lists =
    options.sbom === undefined
      ? await Promise.all(
          (await findSubjects(context, store, artifact, options.file)).map(async (subject) => ({
            ...subject,
            packages: await packagesOf(context, store, subject.artifact, await openKeyring(context).trust()),
          })),
        )
      : [{ artifact: null, liveAs: [], packages: await readBill(options.sbom) }];
  for (const { artifact: digest, liveAs, packages } of lists) {
    if (digest !== null && lists.length > 1) output.line(output.paint.bold(renderSubject(digest, liveAs)));
    for (const line of renderLicences(packages)) output.line(line);
  }
  output.record(
    lists.map(({ artifact: digest, packages }) => ({
      artifact: digest,
      packages: packages.map(({ purl, name, version, licences }) => ({ purl, name, version, licences })),
    })),
  );
}

function changeLines(changes: ScanDifference): readonly string[] {
  const lines = renderScanDifference(changes);
  return lines.length === 0 ? ["nothing changed"] : lines;
}

function recordOf(result: ScanResult): object {
  return { ...result, states: countStates(result.findings) };
}
