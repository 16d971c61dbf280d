import { type Folder, readText } from "./folder.ts";
import { noWishes, workerOf, type StartLine, type WorkerWish, type Wishes } from "./proposal.ts";
import { portOfCommand } from "./command-line.ts";

/** Reads a Procfile, as Heroku, Dokku and foreman have it. */
export function readProcfile(folder: Folder, file: string): Wishes {
  const workers: WorkerWish[] = [];
  let start: StartLine | null = null;
  let release: StartLine | null = null;
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
    } else if (name === "release") release = { line: command, from: where };
    else workers.push(workerOf(name, { line: command, from: where }));
  }
  return { ...noWishes(file), start, port, workers, release };
}
