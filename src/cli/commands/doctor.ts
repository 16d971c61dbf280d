import { Command } from "commander";
import { renderTable } from "../../render/table.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import type { Finding } from "../doctor/finding.ts";
import { checkKernel } from "../doctor/kernel.ts";
import { checkSurroundings } from "../doctor/surroundings.ts";
import { checkTools } from "../doctor/tools.ts";
import { exitStatusByCode } from "../../errors/codes.ts";

export function doctorCommand(): Command {
  return withShared(new Command("doctor"))
    .description(
      "Checks what this machine has: kernel, control groups, programs, network, memory; exit 11 when something needed is missing.",
    )
    .action(async (options: SharedOptions) => {
      const context = createContext(options);
      const findings = [
        ...(await checkKernel(context.places.state)),
        ...(await checkTools()),
        ...(await checkSurroundings(context)),
      ];
      const { output } = context;
      for (const line of renderTable(
        findings.map((finding) => [mark(finding, output.paint), finding.name, text(finding)]),
      ))
        output.line(line);
      const failed = findings.filter(({ state }) => state === "fail").length;
      const warned = findings.filter(({ state }) => state === "warn").length;
      output.line(
        failed > 0 ? `${failed} needed here and missing` : warned > 0 ? `ready, ${warned} to know about` : "ready",
      );
      output.record({ ready: failed === 0, findings });
      if (failed > 0) process.exitCode = exitStatusByCode.MACHINE_LACKS;
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
