import { configNameProblem, configSizeProblem, configValueProblem } from "../model/config.ts";
import type { ConfigSource } from "../model/definition.ts";
import { cleanRelative, staysInside } from "./build.ts";
import type { Place, Reader } from "./reader.ts";

/** Reads `config`: values by name, or the path of a dotenv file in the project. */
export function readConfig(reader: Reader, place: Place): ConfigSource | undefined {
  if (!reader.isMap(place)) {
    const path = reader.text(place);
    if (path === undefined) return undefined;
    if (!staysInside(path))
      return reader.problem(place, "must be variables, { NAME: value }, or the path of a dotenv file in the project");
    return { kind: "file", path: cleanRelative(path) };
  }
  const values = Array.from(reader.map(place, null)).flatMap(([name, field]) => {
    const value = reader.longText(field);
    const problem = configNameProblem(name) ?? (value === undefined ? undefined : configValueProblem(value));
    if (problem !== undefined) reader.problem(field, problem);
    return value === undefined || problem !== undefined ? [] : [[name, value] as const];
  });
  const config = Object.fromEntries(values);
  const problem = configSizeProblem(config);
  if (problem !== undefined) return reader.problem(place, problem);
  return { kind: "values", values: config };
}
