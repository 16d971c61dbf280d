import type { Definition } from "../model/definition.ts";

const taken = new Map<string, string>();

/**
 * Takes the environment variables that a definition's secrets come from out of this process's own environment: all that
 * it starts, the daemon too, would inherit them.
 */
export function takeVariables({ environments }: Definition, env: NodeJS.ProcessEnv): void {
  for (const { from } of environments.flatMap(({ secrets }) => secrets ?? [])) {
    const value = from?.kind === "env" ? env[from.variable] : undefined;
    if (from?.kind !== "env" || value === undefined) continue;
    taken.set(from.variable, value);
    delete env[from.variable];
  }
}

/** What was taken under a name; undefined: nothing. */
export function takenVariable(name: string): string | undefined {
  return taken.get(name);
}
