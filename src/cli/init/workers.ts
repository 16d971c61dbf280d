import { parseDefinition } from "../../definition/parse.ts";
import { isProcessName, isTask, webProcess } from "../../model/names.ts";
import { forDevelopment } from "./carried.ts";
import { parseCommandLine } from "./command-line.ts";
import { readDockerfile } from "./dockerfile-facts.ts";
import { type Folder, readText } from "./folder.ts";
import { emptyManifest, parseManifest } from "./node-manifest.ts";
import { readNodeProject } from "./node-project.ts";
import { nodeStart } from "./node-start.ts";
import { processLines, type WorkerPlan } from "./definition-text.ts";
import { commandBehind } from "./own-dockerfile.ts";
import {
  workerOf,
  type Assumption,
  type NotCarriedOver,
  type Plan,
  type StartLine,
  type WorkerWish,
  type Wishes,
} from "./proposal.ts";
import { commandMayHoldSecret } from "./secrets.ts";
import { yamlList } from "./text.ts";

export interface CarriedWorkers {
  readonly workers: readonly WorkerPlan[];
  readonly assumed: readonly Assumption[];
  readonly notCarriedOver: readonly NotCarriedOver[];
}

/** What of another tool's file runs beside web, in the image that the plan builds. @param folder the one that is built */
export function carryWorkers(wishes: Wishes, plan: Plan, folder: Folder): CarriedWorkers {
  const workers: WorkerPlan[] = [];
  const notCarriedOver: NotCarriedOver[] = [];
  for (const wish of wishes.workers) {
    const name = wish.name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
    const found = unfitName(name, workers) ?? unfitLine(wish) ?? commandOf(wish, plan, folder);
    const leave = (what: string, advice: string): unknown => notCarriedOver.push({ what, where: wish.from, advice });
    const worker: WorkerPlan = { name, command: typeof found === "string" ? [] : found, wish };
    const unlimited: WorkerPlan = { ...worker, wish: { ...wish, memory: null, cpu: null, pids: null } };
    if (typeof found === "string") leave(`the process ${wish.name}`, found);
    else if (isTaken(worker)) workers.push(worker);
    else if (isTaken(unlimited)) {
      workers.push(unlimited);
      leave(`the limits of the process ${wish.name}`, "a definition takes no such values; say others in bronze.yaml");
    } else
      leave(`the process ${wish.name}`, "a definition takes no such words; say it under processes: in bronze.yaml");
  }
  if (wishes.release !== null) notCarriedOver.push(releaseStep(wishes.release, plan, folder));
  const assumed = workers.map(({ name, command, wish }) => ({
    what: `the process ${name}, started by ${command.join(" ")}`,
    why: `${wish.from} says so`,
  }));
  return { workers, assumed, notCarriedOver };
}

function unfitName(name: string, others: readonly WorkerPlan[]): string | undefined {
  const isTaken = name === webProcess || others.some((other) => other.name === name);
  if (isProcessName(name) && !isTask(name) && !isTaken) return undefined;
  return "say it under processes: in bronze.yaml, by a name of lower-case letters and digits";
}

function unfitLine({ start, entrypoint }: Lines): string | undefined {
  const text = [entrypoint, start].map((one) => textOf(one)).join(" ");
  if (commandMayHoldSecret(text))
    return "its arguments look like a secret; have the program read it from its environment";
  return forDevelopment.test(text) ? "it is for development" : undefined;
}

function textOf(start: StartLine | null): string {
  if (start === null) return "";
  return typeof start.line === "string" ? start.line : start.line.join(" ");
}

/** Program and arguments; a text says why it cannot be told. */
function commandOf(wish: Lines, plan: Plan, folder: Folder): readonly string[] | string {
  const { build } = plan;
  if (!plan.holdsSources)
    return plan.kind === "image"
      ? "say its whole command, with the image's entrypoint, under processes: in bronze.yaml"
      : "the image holds what web needs and no other program; write a Dockerfile that holds both";
  if (build.kind === "dockerfile" && build.text === null) {
    const facts = readDockerfile(readText(folder, build.path) ?? "", build.path, build.target, build.args);
    return commandBehind(wish, facts.config.Entrypoint, plan.port) ?? commandInShellEntrypoint(build.path);
  }
  const { words, env, viaShell } = wordsOf(wish, plan, folder);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  if (build.kind !== "debian") return variables.length === 0 ? words : ["/usr/bin/env", ...variables, ...words];
  if (!viaShell && variables.length === 0 && /^(node|python3?)$/.test(words[0] ?? ""))
    return words[0] === "python" ? ["python3", ...words.slice(1)] : words;
  return `the image holds ${build.packages.join(", ")} alone, without a shell; have that run it, or write a Dockerfile`;
}

function commandInShellEntrypoint(path: string): string {
  return `${path} has an ENTRYPOINT for a shell, which takes no arguments; say its whole command under processes: in bronze.yaml`;
}

type Lines = Pick<WorkerWish, "start" | "entrypoint">;

interface Words {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly viaShell: boolean;
}

function wordsOf({ start, entrypoint }: Lines, plan: Plan, folder: Folder): Words {
  const lines = [entrypoint, start].flatMap((line) => line ?? []);
  if (plan.kind === "node" && entrypoint === null && start !== null) {
    const text = readText(folder, "package.json");
    const project = readNodeProject(folder, (text === undefined ? undefined : parseManifest(text)) ?? emptyManifest);
    const found = nodeStart(project.folder, project.manifest, start, plan.port);
    if (found !== undefined) return found;
  }
  const parsed = lines.map(({ line }) =>
    typeof line === "string" ? parseCommandLine(line, plan.port) : { env: [], words: line, rest: "" },
  );
  return {
    words: parsed.flatMap(({ words, rest }) => words ?? ["/bin/sh", "-c", rest]),
    env: Object.fromEntries(parsed.flatMap(({ env }) => env)),
    viaShell: parsed.some(({ words }) => words === null),
  };
}

/** Whether a definition takes it: not so control characters, for one. */
function isTaken(worker: WorkerPlan): boolean {
  const lines = ["app: a", "build: { dockerfile: D }", ...processLines([worker]), ""];
  try {
    parseDefinition(lines.join("\n"), "bronze.yaml");
    return true;
  } catch {
    return false;
  }
}

/** Whether the content before can work with what it leaves behind, only people know. */
function releaseStep(start: StartLine, plan: Plan, folder: Folder): NotCarriedOver {
  const found = unfitLine({ start, entrypoint: null }) ?? commandOf({ start, entrypoint: null }, plan, folder);
  const advice =
    typeof found === "string" || !isTaken({ name: "x", command: found, wish: workerOf("x", start) })
      ? "say it as release: { run: […], reversible: … } in bronze.yaml"
      : `add release: { run: ${yamlList(found)}, reversible: true } to bronze.yaml, or false where the release before cannot work with what it leaves behind`;
  return { what: "the release step", where: start.from, advice };
}
