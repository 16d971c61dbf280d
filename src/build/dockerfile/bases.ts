import { machinePlatform } from "./base-image.ts";
import { readDockerfile } from "./execute.ts";
import { parseDockerfile } from "./parse.ts";
import { imagesOf, planDockerfile } from "./plan.ts";

/**
 * The images of others that a Dockerfile names, for whatever of its stages.
 *
 * @param args values for its ARG
 * @throws {OperatorError} `DEFINITION_INVALID` naming file and line
 */
export async function namedBases(
  projectDir: string,
  file: string,
  args: ReadonlyMap<string, string>,
): Promise<readonly { readonly name: string; readonly platform: string }[]> {
  const parsed = parseDockerfile(await readDockerfile(projectDir, file), file);
  return imagesOf(planDockerfile(parsed, { file, target: null, buildArgs: args, platform: machinePlatform() }));
}
