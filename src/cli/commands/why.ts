import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import type { WhyReport } from "../../model/api/releases.ts";
import { parseReleaseNumber } from "../../model/names.ts";
import { renderWhy } from "../../render/why.ts";
import { isReplayed, replay } from "../../rollout/decisions/decide.ts";
import { createContext, withTarget, type TargetOptions } from "../context.ts";
import { findTarget } from "../project.ts";

interface WhyOptions extends TargetOptions {
  readonly replay?: boolean;
}

export function whyCommand(): Command {
  return withTarget(new Command("why"))
    .description("Tells what was decided about a release by itself: the rule, the numbers, and what it came to.")
    .argument("[release]", "v11, as `bronze releases` shows it; absent: the newest")
    .option("--replay", "decides anew from the recorded numbers, and fails (exit 7) where that comes to something else")
    .action(async (release: string | undefined, options: WhyOptions) => {
      const number = release === undefined ? {} : { release: parseReleaseNumber(release) };
      const context = createContext(options);
      const target = await findTarget(context, options);
      const { output } = context;
      const report = await context.client.get<WhyReport<LedgerEvent>>(
        "/v1/why",
        { ...target, ...number },
        context.signal,
      );
      for (const line of renderWhy(report, output.paint)) output.line(line);
      const replayed = options.replay === true ? replayAll(report) : undefined;
      if (replayed !== undefined)
        output.line(
          replayed === 0
            ? "there is no decision to replay"
            : `replayed: ${replayed === 1 ? "the decision comes" : `all ${replayed} decisions come`} to the same again`,
        );
      output.record({ ...report, ...(replayed === undefined ? {} : { replayed }) });
    });
}

/** @returns how many decisions came to the same @throws {OperatorError} `VERIFICATION_FAILED`, naming the first that did not */
function replayAll({ app, release, events }: WhyReport<LedgerEvent>): number {
  const decisions = events.flatMap(({ seq, data }) => (data.kind === "decision.made" ? [{ seq, ...data }] : []));
  const other = decisions.filter((decision) => !isReplayed(decision));
  const [first] = other;
  if (first === undefined) return decisions.length;
  throw new OperatorError(
    "VERIFICATION_FAILED",
    `Cannot confirm ${other.length} of ${decisions.length} decisions about v${release} of ${app}: ${first.rule} (event ${first.seq}) came to something else than was recorded`,
    {
      hint: "`bronze audit` tells whether the ledger was changed; a newer version may decide otherwise: its changes say so",
      details: {
        decisions: other.map(({ seq, rule, outcome, inputs }) => ({
          seq,
          rule,
          recorded: outcome,
          now: replay({ rule, inputs, outcome }),
        })),
      },
    },
  );
}
