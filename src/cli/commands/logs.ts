import { Command } from "commander";
import { fromErrorRecord, type ErrorRecord } from "../../errors/operator-error.ts";
import type { LogLine } from "../../model/api/asked.ts";
import { isProcessName, splitInstanceName } from "../../model/names.ts";
import { createContext, untilInterrupted, withTarget, type TargetOptions } from "../context.ts";
import { parseCount } from "../numbers.ts";
import { findTarget } from "../project.ts";

interface LogsOptions extends TargetOptions {
  readonly follow?: boolean;
  readonly lines: number;
}

type Line = LogLine | { readonly kind: "error"; readonly error: ErrorRecord };

export function logsCommand(): Command {
  return withTarget(new Command("logs"))
    .description("Shows what the instances of an environment wrote, ended ones included.")
    .argument("[name]", "only this instance, as `bronze status` names it, or only this process")
    .option("-f, --follow", "go on as more is written, until Ctrl-C")
    .option("-n, --lines <count>", "the last so many lines", parseCount, 100)
    .action(async (name: string | undefined, options: LogsOptions) => {
      const context = createContext(options, options.follow === true ? untilInterrupted : null);
      const parts = name === undefined ? undefined : splitInstanceName(name);
      const target =
        parts === undefined ? await findTarget(context, options) : { app: parts.app, environment: parts.environment };
      const query = {
        app: target.app,
        environment: target.environment,
        ...(name === undefined ? {} : isProcessName(name) ? { process: name } : { instance: name }),
        lines: options.lines,
        follow: options.follow === true ? 1 : 0,
      };
      for await (const line of context.client.stream<Line>("GET", "/v1/logs", { query }, context.signal)) {
        if ("kind" in line) throw fromErrorRecord(line.error);
        context.output.line(
          `${context.output.paint.dim(`${line.instance} ${line.at.slice(0, 23)}Z`)} ${line.stream === "stderr" ? "! " : ""}${line.text}`,
        );
        context.output.record(line);
      }
    });
}
