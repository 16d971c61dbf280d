import { copyFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatDuration } from "../../model/quantities.ts";
import { runQuietly } from "./child.ts";

/**
 * Short, so that the demo is; a definition without them gets 30 s and 60 s. Only version 3 has the short deadline, which
 * it cannot keep: the others would miss it on a machine that is busy.
 */
export const demoTimes = { healthDeadlineMs: 2500, watchMs: 8000 } as const;

/** Requests that each instance of version 4 answers rightly before it fails. */
const answeredRightly = 150;

const definitionOf = (deadlineMs: number): string => `app: shop
build:
  debian: bookworm
  packages: [nodejs]
  copy: [package.json, server.js, behaviour.js]
  command: [node, server.js]
run:
  port: 8080
  health: { path: /healthz, deadline: ${deadlineMs / 1000}s }
  resources: { memory: 256Mi }
environments:
  production:
    instances: 4
    rollback: { watch: ${demoTimes.watchMs / 1000}s }
`;

/** A version of the app: what its commit says, and its source. */
export interface Version {
  readonly title: string;
  readonly behaviour: string;
  readonly deadlineMs: number;
}

export const versions: readonly Version[] = [
  version("1", "the first version", "Hello from the first version."),
  version("2", "a new greeting", "A warmer welcome, from the second version."),
  version("3", "ask a database that is not there before being healthy", "Hello from the third version.", {
    healthy: "false",
    deadlineMs: demoTimes.healthDeadlineMs,
    comment: "// The database it waits for does not exist: it is never ready.\n",
  }),
  version("4", "a leak that shows only under traffic", "Hello from the fourth version.", {
    mayAnswer: `(answered += 1) <= ${answeredRightly}`,
    comment: `// Connections are taken and never given back: after ${answeredRightly} requests none is left.\nlet answered = 0;\n`,
  }),
];

function version(
  number: string,
  title: string,
  greeting: string,
  fault: { healthy?: string; mayAnswer?: string; comment?: string; deadlineMs?: number } = {},
): Version {
  return {
    title,
    deadlineMs: fault.deadlineMs ?? 30_000,
    behaviour: `${fault.comment ?? ""}export const version = "${number}";
export const greeting = "${greeting}";

/** Whether the health check is passed. */
export const healthy = () => ${fault.healthy ?? "true"};

/** Whether a request is answered rightly. */
export const mayAnswer = () => ${fault.mayAnswer ?? "true"};
`,
  };
}

/** Makes a git project of the example's real source. */
export async function createProject(example: string, folder: string): Promise<void> {
  for (const name of await readdir(example))
    if (/\.(js|json)$/.test(name)) await copyFile(join(example, name), join(folder, name));
  await git(folder, "init", "--quiet");
}

/** Writes a version's source and commits it. @returns the commit's short name */
export async function commitVersion(folder: string, { title, behaviour, deadlineMs }: Version): Promise<string> {
  await writeFile(join(folder, "bronze.yaml"), definitionOf(deadlineMs));
  await writeFile(join(folder, "behaviour.js"), behaviour);
  await git(folder, "add", "--all");
  await git(
    folder,
    "-c",
    "user.name=Bronze demo",
    "-c",
    "user.email=demo@localhost",
    "-c",
    "commit.gpgsign=false",
    "commit",
    "--quiet",
    "--message",
    title,
  );
  return (await git(folder, "rev-parse", "--short", "HEAD")).trim();
}

async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const { status, output } = await runQuietly("git", args, folder);
  if (status !== 0) throw new Error(`git ${args.join(" ")} ended with status ${status}: ${output}`);
  return output;
}

/** The settings a person should know of, in one line. */
export function describeTimes(): string {
  const { healthDeadlineMs, watchMs } = demoTimes;
  return `watch ${formatDuration(watchMs)} and, for version 3, health.deadline ${formatDuration(healthDeadlineMs)}: short for the demo (60 s and 30 s by default)`;
}
