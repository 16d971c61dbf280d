import { Command, Argument } from "commander";
import { commands } from "../commands.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

export function completionCommand(): Command {
  return withShared(new Command("completion"))
    .description("Prints a completion script; for bash: source <(bronze completion bash)")
    .addArgument(new Argument("<shell>", "which shell").choices(shells))
    .action(async (shell: Shell, options: SharedOptions) => {
      const { output } = createContext(options);
      const script = renderCompletion(shell, await describeCommands());
      for (const line of script) output.line(line);
      output.record({ shell, script: script.join("\n") });
    });
}

interface Described {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly string[];
}

async function describeCommands(): Promise<readonly Described[]> {
  return Promise.all(
    commands.map(async ({ name, summary, load }) => {
      const command = await load();
      const flags = command.options.flatMap(({ long }) => long ?? []);
      return { name, summary, flags: [...command.commands.map((sub) => sub.name()), ...flags, "--help"] };
    }),
  );
}

/** Lines of a completion script: command names first, then the named command's options. */
export function renderCompletion(shell: Shell, described: readonly Described[]): readonly string[] {
  const names = described.map(({ name }) => name).join(" ");
  const cases = described.map(({ name, flags }) => `    ${name}) words="${flags.join(" ")}" ;;`);
  switch (shell) {
    case "bash":
      return [
        "_bronze() {",
        "  local words",
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        `    words="${names} help"`,
        "  else case ${COMP_WORDS[1]} in",
        ...cases,
        "    *) words= ;;",
        "  esac; fi",
        '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")',
        "}",
        "complete -o default -F _bronze bronze",
      ];
    case "zsh":
      return [
        "#compdef bronze",
        "_bronze() {",
        "  local candidates",
        "  if (( CURRENT == 2 )); then",
        `    candidates="${names} help"`,
        "  else case ${words[2]} in",
        ...cases.map((line) => line.replace("words=", "candidates=")),
        "    *) candidates= ;;",
        "  esac; fi",
        "  compadd -- ${=candidates}",
        "}",
        "compdef _bronze bronze",
      ];
    case "fish":
      return described.flatMap(({ name, summary, flags }) => [
        `complete -c bronze -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", "\\'")}'`,
        ...flags.map((flag) =>
          flag.startsWith("--")
            ? `complete -c bronze -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`
            : `complete -c bronze -n '__fish_seen_subcommand_from ${name}' -f -a ${flag}`,
        ),
      ]);
    default:
      return shell satisfies never;
  }
}
