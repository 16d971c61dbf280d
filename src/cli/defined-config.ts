import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";
import { configSizeProblem, type Config } from "../model/config.ts";
import type { ConfigSource, Definition } from "../model/definition.ts";
import { readVariables } from "./variables-file.ts";

/**
 * What the definition says for an environment: its own values over those of every environment.
 *
 * @throws {OperatorError} `DEFINITION_INVALID` for a file that cannot be read, or too much of it all
 */
export function definedConfig(
  { config }: Pick<Definition, "config">,
  environment: Definition["environments"][number],
  folder: string,
): Config {
  const merged = { ...valuesOf(config, folder), ...valuesOf(environment.config, folder) };
  const problem = configSizeProblem(merged);
  if (problem === undefined) return merged;
  throw new OperatorError("DEFINITION_INVALID", `Cannot use the config of ${environment.name}: ${problem}`, {
    hint: "put what is large into a file of the image",
  });
}

function valuesOf(source: ConfigSource | undefined, folder: string): Config {
  if (source === undefined) return {};
  if (source.kind === "values") return source.values;
  const variables = readVariables(join(folder, source.path), source.path, "DEFINITION_INVALID");
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}
