import { readDockerfile } from "./execute.ts";
import { parseDockerfile } from "./parse.ts";
import { expandText, splitWords } from "./words.ts";

/**
 * The images of others that a Dockerfile names.
 *
 * @param platform of stages that do not say theirs
 * @throws {OperatorError} `DEFINITION_INVALID` naming file and line
 */
export async function namedBases(
  projectDir: string,
  file: string,
  platform: string,
): Promise<readonly { readonly name: string; readonly platform: string }[]> {
  const { instructions, escape } = parseDockerfile(await readDockerfile(projectDir, file), file);
  const globals = new Map<string, string>();
  for (const { keyword, text } of instructions) {
    if (keyword === "FROM") {
      const [name = ""] = splitWords(text, globals, escape);
      return name === "scratch" ? [] : [{ name, platform }];
    }
    const word = expandText(text, globals, escape);
    const equals = word.indexOf("=");
    if (equals > 0) globals.set(word.slice(0, equals), word.slice(equals + 1));
  }
  return [];
}
