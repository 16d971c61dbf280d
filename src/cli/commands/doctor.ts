import { Command } from "commander";
import { renderTable } from "../../render/table.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { warn, type Finding } from "../doctor/finding.ts";
import { checkKernel } from "../doctor/kernel.ts";
import { examineStorage, storageFindings } from "../doctor/storage.ts";
import { checkSurroundings } from "../doctor/surroundings.ts";
import { checkTools } from "../doctor/tools.ts";
import type { StorageReport } from "../../model/api/storage.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { exitStatusByCode } from "../../errors/codes.ts";

interface DoctorOptions extends SharedOptions {
  readonly repair?: boolean;
  readonly keepEvents?: string;
}

export function doctorCommand(): Command {
  return withShared(new Command("doctor"))
    .description(
      "Checks what this machine has (kernel, control groups, programs, network, memory: exit 11 when something needed is missing) and hashes what is stored (exit 7 when something is damaged). Changes nothing without --repair.",
    )
    .option("--repair", "mend what is stored: make damaged images anew, set damaged blobs aside, remove leftovers")
    .option(
      "--keep-events <n>",
      "with --repair, for a damaged ledger: go on with its first N events; what came later is kept aside",
    )
    .action(async (options: DoctorOptions) => {
      const context = createContext(options);
      const keepEvents = parseKeepEvents(options);
      const storage = await examine(context, options.repair === true, keepEvents);
      const findings = [
        ...(await checkKernel(context.places.state)),
        ...(await checkTools()),
        ...(await checkSurroundings(context)),
        ...(storage === undefined
          ? [warn("storage", "unknown without root", "run `bronze doctor` as root")]
          : storageFindings(storage)),
      ];
      const { output } = context;
      for (const line of renderTable(
        findings.map((finding) => [mark(finding, output.paint), finding.name, text(finding)]),
      ))
        output.line(line);
      const damaged = storage?.ok === false;
      const failed = findings.filter(({ state }) => state === "fail").length;
      const warned = findings.filter(({ state }) => state === "warn").length;
      output.line(
        damaged
          ? "what is stored is damaged"
          : failed > 0
            ? `${failed} needed here and missing`
            : warned > 0
              ? `ready, ${warned} to know about`
              : "ready",
      );
      output.record({ ready: failed === 0, findings, ...(storage === undefined ? {} : { storage }) });
      if (damaged) process.exitCode = exitStatusByCode.VERIFICATION_FAILED;
      else if (failed > 0) process.exitCode = exitStatusByCode.MACHINE_LACKS;
    });
}

/** The store is readable for its owner only, and so is the daemon's socket. */
async function examine(
  context: Context,
  mend: boolean,
  keepEvents: number | undefined,
): Promise<StorageReport | undefined> {
  if (process.getuid?.() === 0) return examineStorage(context, mend, keepEvents);
  if (!mend) return undefined;
  throw new OperatorError("MACHINE_LACKS", "Cannot mend what is stored: not root", { hint: "run it as root" });
}

function parseKeepEvents({ repair, keepEvents }: DoctorOptions): number | undefined {
  if (keepEvents === undefined) return undefined;
  if (repair === true && /^[0-9]{1,15}$/.test(keepEvents)) return Number(keepEvents);
  throw new OperatorError("USAGE", `Cannot keep "${keepEvents.slice(0, 80)}" events`, {
    hint: "write a whole number, together with --repair: `bronze doctor --repair --keep-events 412`",
  });
}

function mark(
  { state }: Finding,
  paint: { good(text: string): string; warn(text: string): string; bad(text: string): string },
): string {
  if (state === "ok") return paint.good("ok");
  return state === "warn" ? paint.warn("warn") : paint.bad("fail");
}

function text({ found, advice }: Finding): string {
  return advice === undefined ? found : `${found} (${advice})`;
}
