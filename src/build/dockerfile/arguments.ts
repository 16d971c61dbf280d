import type { ParsedDockerfile } from "./parse.ts";
import { expandText } from "./words.ts";

/** Arguments that need no ARG, and stay out of history and of what tells steps apart. @see Dockerfile reference, "Predefined ARGs" */
const proxyNames = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

export function isProxyArgument(name: string): boolean {
  return proxyNames.includes(name);
}

/** `NAME=value` of the proxies that were given. */
export function proxyVariables(buildArgs: ReadonlyMap<string, string>): readonly string[] {
  return [...buildArgs].filter(([name]) => isProxyArgument(name)).map(([name, value]) => `${name}=${value}`);
}

/** What every build knows of the platforms. @see Dockerfile reference, "Automatic platform ARGs in the global scope" */
function platformArguments(platform: string, stage: string): readonly (readonly [string, string])[] {
  const [os = "", architecture = "", variant = ""] = platform.split("/");
  const rows = (prefix: string): readonly (readonly [string, string])[] => [
    [`${prefix}PLATFORM`, platform],
    [`${prefix}OS`, os],
    [`${prefix}ARCH`, architecture],
    [`${prefix}VARIANT`, variant],
  ];
  return [...rows("BUILD"), ...rows("TARGET"), ["TARGETSTAGE", stage]];
}

/**
 * The variables of FROM lines, which `ARG NAME` brings into a stage.
 *
 * @param attempt carries work out and keeps its problem with the line
 */
export function globalVariables(
  parsed: ParsedDockerfile,
  options: {
    readonly platform: string;
    readonly target: string | null;
    readonly buildArgs: ReadonlyMap<string, string>;
  },
  attempt: (line: number, work: () => void) => void,
): ReadonlyMap<string, string> {
  const globals = new Map(platformArguments(options.platform, options.target ?? "default"));
  for (const instruction of parsed.globals) {
    attempt(instruction.line, () => {
      for (const arg of instruction.args) {
        const name = expandText(arg.name, globals, { escape: parsed.escape });
        const value = arg.value === null ? undefined : expandText(arg.value, globals, { escape: parsed.escape });
        const given = options.buildArgs.get(name) ?? value;
        if (given !== undefined) globals.set(name, given);
      }
    });
  }
  return globals;
}

/** Arguments that were given and that no ARG of the file takes. */
export function unusedArguments(parsed: ParsedDockerfile, buildArgs: ReadonlyMap<string, string>): readonly string[] {
  const taken = new Set<string>();
  for (const instruction of [...parsed.globals, ...parsed.stages.flatMap((stage) => stage.instructions)])
    if (instruction.kind === "arg") for (const { name } of instruction.args) taken.add(name);
  return [...buildArgs.keys()].filter((name) => !taken.has(name) && !isProxyArgument(name)).sort();
}
