import { configNameProblem, configSizeProblem, configValueProblem } from "../../model/config.ts";
import type { NotCarriedOver, Variables, Wishes } from "./proposal.ts";

/** Variables of a program whose image says nothing of them: `config:`, but for those that Bronze sets itself. */
export function planConfig({ env }: Wishes): {
  readonly config: Variables;
  readonly notCarriedOver: readonly NotCarriedOver[];
} {
  const config = new Map<string, string>();
  const notCarriedOver: NotCarriedOver[] = [];
  for (const { name, value, from } of env) {
    const problem =
      configNameProblem(name) ??
      configValueProblem(value) ??
      configSizeProblem({ ...Object.fromEntries(config), [name]: value });
    if (problem === undefined) config.set(name, value);
    else notCarriedOver.push({ what: `environment variable ${name}`, where: from, advice: `it ${problem}` });
  }
  return { config: Object.fromEntries(config), notCarriedOver };
}
