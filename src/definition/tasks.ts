import type { ReleaseTask } from "../model/content.ts";
import { defaultTaskDeadlineMs, type Check, type TestTask } from "../model/tasks.ts";
import { optional, readCommand, readEnv } from "./build.ts";
import { keySets } from "./keys.ts";
import type { Place, Reader } from "./reader.ts";
import { readPositiveDuration } from "./run.ts";

/** More tests or checks than this are not taken. */
export const mostTasks = 100;

/** Reads `release`: what runs once before the first instance of a release. */
export function readRelease(reader: Reader, place: Place): ReleaseTask | undefined {
  const fields = reader.map(place, keySets.release);
  const runField = fields.get("run");
  const reversibleField = fields.get("reversible");
  if (runField === undefined) return reader.problem(place, "needs run: [node, migrate.js], what is to run");
  // Guessed wrong, either nothing would go back by itself any more, or old code would meet data it does not know.
  if (reversibleField === undefined)
    return reader.problem(
      place,
      "needs reversible: true or false, whether the content before it can work with what it leaves behind",
    );
  const run = readCommand(reader, runField);
  const reversible = reader.boolean(reversibleField);
  const deadlineMs = readDeadline(reader, fields);
  return run === undefined || reversible === undefined ? undefined : { run, reversible, deadlineMs };
}

/** Reads `tests`: commands in one-off instances of the artifact alone. */
export function readTests(reader: Reader, place: Place): readonly TestTask[] {
  return readList(reader, place).flatMap((item) => {
    const fields = reader.map(item, keySets.test);
    const run = optional(fields, "run", (field) => readCommand(reader, field));
    if (!fields.has("run")) reader.problem(item, "needs run: [node, --test], what is to run");
    const env = optional(fields, "env", (field) => readEnv(reader, field)) ?? {};
    const deadlineMs = readDeadline(reader, fields);
    return run === undefined ? [] : [{ run, deadlineMs, env }];
  });
}

/** Reads `checks`: what is asked of a new content in its environment before the switch. */
export function readChecks(reader: Reader, place: Place): readonly Check[] {
  return readList(reader, place).flatMap((item) => readCheck(reader, item) ?? []);
}

function readCheck(reader: Reader, place: Place): Check | undefined {
  const fields = reader.map(place, keySets.check);
  const runField = fields.get("run");
  const pathField = fields.get("path");
  if ((runField === undefined) === (pathField === undefined))
    return reader.problem(place, "needs either run: [node, check.js] or path: /, and not both");
  if (pathField !== undefined) {
    const deadline = fields.get("deadline");
    if (deadline !== undefined) reader.problem(deadline, "belongs to a check with run: only");
    const path = reader.text(pathField);
    if (path !== undefined && !/^\/[\x21-\x7e]{0,500}$/.test(path))
      return reader.problem(pathField, "must begin with / and hold no spaces");
    const status = optional(fields, "status", (field) => reader.number(field, { min: 100, max: 599, integer: true }));
    return path === undefined ? undefined : { kind: "path", path, status: status ?? null };
  }
  const status = fields.get("status");
  if (status !== undefined) reader.problem(status, "belongs to a check with path: only");
  const run = runField === undefined ? undefined : readCommand(reader, runField);
  const deadlineMs = readDeadline(reader, fields);
  return run === undefined ? undefined : { kind: "run", run, deadlineMs };
}

function readList(reader: Reader, place: Place): readonly Place[] {
  const items = reader.list(place);
  if (items.length > mostTasks) reader.problem(place, `has ${items.length} entries, at most ${mostTasks} taken`);
  return items.slice(0, mostTasks);
}

function readDeadline(reader: Reader, fields: ReadonlyMap<string, Place>): number {
  return optional(fields, "deadline", (field) => readPositiveDuration(reader, field)) ?? defaultTaskDeadlineMs;
}
