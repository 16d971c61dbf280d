/**
 * A command's arguments for another run of it: without the options that are replaced. Values of options are taken as
 * the command takes them: `--state DIR` or `--state=DIR`.
 *
 * @param flags options without a value
 * @param valued options with one
 */
export function withoutOptions(
  argv: readonly string[],
  flags: readonly string[],
  valued: readonly string[],
): readonly string[] {
  const kept: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? "";
    if (argument === "--") return [...kept, ...argv.slice(index)];
    if (valued.includes(argument)) index += 1;
    else if (!flags.includes(argument) && !valued.some((option) => argument.startsWith(`${option}=`)))
      kept.push(argument);
  }
  return kept;
}
