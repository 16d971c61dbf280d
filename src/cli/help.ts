import { renderTable } from "../render/table.ts";
import { commands } from "./commands.ts";

/** The overview; `all` adds the commands that are needed less often. */
export function renderHelp(all: boolean): readonly string[] {
  const shown = commands.filter(({ common }) => all || common);
  return [
    "bronze: immutable infrastructure for one machine",
    "",
    "usage: bronze COMMAND [options]",
    "",
    ...renderTable(shown.map(({ name, summary }) => [`  ${name}`, summary])),
    "",
    "Every command takes --json, --state DIR (BRONZE_STATE) and --help.",
    all ? "Exit statuses stand in docs/cli.md." : "`bronze help --all` shows the rest.",
  ];
}
