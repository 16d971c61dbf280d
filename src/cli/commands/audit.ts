import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { AuditReport } from "../../model/api.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";

export function auditCommand(): Command {
  const verify = withShared(new Command("verify"))
    .description(
      "Recomputes the ledger's hash chain and compares what is derived from it; exit 7 when anything does not hold.",
    )
    .action(async (options: SharedOptions) => {
      const { client, output, signal } = createContext(options);
      const report = await client.get<AuditReport>("/v1/audit", {}, signal);
      if (report.ok && report.projectionsEqual) {
        output.line(
          `${output.paint.good("ok:")} ${report.events} events, unbroken chain, projections equal a fresh fold`,
        );
        output.line(`head ${report.head}`);
        output.record(report);
        return;
      }
      const { damage } = report;
      const finding =
        damage === null
          ? "the projections differ from a fresh fold of the events"
          : `event ${damage.seq}: ${damage.finding}`;
      throw new OperatorError("LEDGER_DAMAGED", `Cannot vouch for the ledger: ${finding}`, {
        hint:
          damage === null
            ? "restart the daemon, which folds anew; then verify again"
            : "restore the state folder's ledger from a backup; nothing after that event can be relied on",
        details: report,
      });
    });
  return new Command("audit").description("Verifies the ledger.").addCommand(verify);
}
