import { Command } from "commander";
import type { Content } from "../../model/content.ts";
import type { ReleaseRow } from "../../model/api/releases.ts";
import { diffContents } from "../../model/difference.ts";
import { parseReleaseNumber } from "../../model/names.ts";
import { renderDifference } from "../../render/difference.ts";
import { renderReleases } from "../../render/releases.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { findTarget, type Target } from "../project.ts";

export function releasesCommand(): Command {
  return withTarget(new Command("releases"))
    .description(
      "Shows every release of an environment, newest first, what it changed and what became of it; * is live. With one or two releases: in what they differ, one from what was live before it.",
    )
    .argument("[from]", "v11")
    .argument("[to]", "v12")
    .option("--all", "of all apps and environments")
    .action(async (from: string | undefined, to: string | undefined, options: TargetOptions & { all?: boolean }) => {
      const named = [from, to].flatMap((text) => (text === undefined ? [] : parseReleaseNumber(text)));
      const context = createContext(options);
      const [first, second] = named;
      if (first !== undefined) return showDifference(context, await findTarget(context, options), first, second);
      const target = options.all === true ? {} : await findTarget(context, options);
      const rows = await context.client.get<readonly ReleaseRow[]>("/v1/releases", { ...target }, context.signal);
      for (const line of renderReleases(rows, context.output.paint)) context.output.line(line);
      context.output.record(rows);
    });
}

async function showDifference(
  { client, output, signal }: Context,
  target: Target,
  first: number,
  second: number | undefined,
): Promise<void> {
  const releaseOf = (release: number): Promise<ReleaseRow & { readonly content: Content }> =>
    client.get("/v1/release", { ...target, release }, signal);
  const named = await releaseOf(first);
  const to = second === undefined ? named : await releaseOf(second);
  const before = second === undefined ? named.changes?.against : first;
  if (before === undefined) {
    output.line(`v${first} of ${target.app} in ${target.environment}: nothing was live before it`);
    output.record({ ...target, from: null, to: first, difference: null });
    return;
  }
  const from = second === undefined ? await releaseOf(before) : named;
  const difference = diffContents(from.content, to.content);
  output.line(`v${from.release} → v${to.release} of ${target.app} in ${target.environment}`);
  for (const line of renderDifference(difference)) output.line(line);
  output.record({ ...target, from: from.release, to: to.release, difference });
}
