import { OperatorError } from "../errors/operator-error.ts";
import type { BuildOptions } from "./build-options.ts";
import type { Context } from "./context.ts";
import type { Project } from "./definitions.ts";

/** The contexts of commands that do something for each of several apps: every line says whose it is, `--json` gives one list. */
export function contextsOf(
  context: Context,
  projects: readonly Project[],
): { of(project: Project): Context; finish(): void } {
  const { output } = context;
  // For one app it is as if there could be no others.
  if (projects.length === 1) return { of: () => context, finish: () => {} };
  const records = new Map<string, unknown>();
  return {
    of: ({ definition: { app } }) => ({
      ...context,
      output: {
        ...output,
        line: (text) => output.line(`${output.paint.bold(app)}: ${text}`),
        note: (text) => output.note(`${output.paint.dim(`${app}:`)} ${text.trimStart()}`),
        live: (text) => output.live(text === "" ? "" : `${app}: ${text.trimStart()}`),
        record: (value) => void records.set(app, value),
      },
    }),
    finish: () =>
      output.record(
        projects.flatMap(({ definition: { app } }) =>
          records.has(app) ? [{ app, ...(records.get(app) as object) }] : [],
        ),
      ),
  };
}

/** @throws {OperatorError} `USAGE` for options that mean one build, where several are made */
export function refuseForSeveral(projects: readonly Project[], { target, buildArg }: BuildOptions): void {
  const given = target !== undefined ? "--target" : (buildArg ?? []).length > 0 ? "--build-arg" : undefined;
  if (projects.length === 1 || given === undefined) return;
  throw new OperatorError("USAGE", `Cannot use ${given} for ${projects.length} apps at once`, {
    hint: "name one app with --app, or say it in the definition: build.target, build.args",
  });
}
