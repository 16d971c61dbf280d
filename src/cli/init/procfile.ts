import { type Folder, readText } from "./folder.ts";
import { noWishes, type NotCarriedOver, type StartLine, type Wishes } from "./proposal.ts";
import { portOfCommand } from "./command-line.ts";

/** Reads a Procfile, as Heroku, Dokku and foreman have it. */
export function readProcfile(folder: Folder, file: string): Wishes {
  const notCarriedOver: NotCarriedOver[] = [];
  let start: StartLine | null = null;
  let port: Wishes["port"] = null;
  for (const [index, line] of (readText(folder, file) ?? "").split(/\r?\n/).entries()) {
    const match = /^([A-Za-z0-9_-]+):\s*(\S.*?)\s*$/.exec(line);
    if (match === null) continue;
    const [, name = "", command = ""] = match;
    const where = `${file} line ${index + 1}`;
    if (name === "web") {
      start = { line: command, from: where };
      const named = portOfCommand(command);
      if (named !== undefined) port = { value: named, from: where };
    } else if (name === "release") {
      notCarriedOver.push({
        what: "the release step",
        where,
        advice: "run it by hand before `bronze up`; release.run comes in a later version",
      });
    } else {
      notCarriedOver.push({
        what: `the process ${name}`,
        where,
        advice:
          "processes besides web come in a later version; until then it is an app of its own, or runs where it runs now",
      });
    }
  }
  return { ...noWishes(file), start, port, notCarriedOver };
}
