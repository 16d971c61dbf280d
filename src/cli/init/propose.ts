import { unfitCommands } from "./carried.ts";
import { definitionText } from "./definition-text.ts";
import { type Folder, folderBelow } from "./folder.ts";
import { keepsOut } from "./ignore-lines.ts";
import { readWishes, type ProposeOptions } from "./other-files.ts";
import { planFor } from "./plan.ts";
import { carryWorkers } from "./workers.ts";
import type { Assumption, Plan, Proposal, Wishes } from "./proposal.ts";
import { appNameFrom } from "./text.ts";

/**
 * A definition for a folder, what was assumed for it, and what of another tool's file it does not say.
 *
 * @throws {OperatorError} `NOT_FOUND` when the folder is none of the kinds that are known, `DEFINITION_INVALID` for a file
 *   that cannot be read
 */
export function propose(folder: Folder, options: ProposeOptions = {}): Proposal {
  const { wishes, others } = readWishes(folder, options);
  const unfit = unfitCommands(wishes);
  const safe = unfit.length === 0 ? wishes : { ...wishes, start: null, entrypoint: null };
  const place = safe.folder === "" ? folder : folderBelow(folder, safe.folder);
  const plan = planFor(place, safe);
  const app = appNameFrom(safe.name ?? plan.name ?? place.name);
  const carriedWorkers = carryWorkers(safe, plan, place);
  const files = [
    ...plan.files,
    ...(plan.build.kind === "dockerfile" && plan.build.text !== null
      ? [{ path: plan.build.path, text: plan.build.text }]
      : []),
    ...(plan.ignore === null || place.entries.includes(".dockerignore")
      ? []
      : [{ path: ".dockerignore", text: `${plan.ignore.join("\n")}\n` }]),
    { path: "bronze.yaml", text: definitionText(app, plan, safe, carriedWorkers.workers) },
  ];
  return {
    kind: plan.kind,
    folder: safe.folder,
    files,
    assumed: [
      ...others,
      ...safe.assumed,
      ...plan.assumed,
      ...basesOf(plan),
      ...carried(safe, plan.port),
      ...carriedWorkers.assumed,
    ],
    notCarriedOver: [...unfit, ...carriedWorkers.notCarriedOver, ...safe.notCarriedOver, ...plan.notCarriedOver],
    todo: [...plan.todo, ...leftIn(place, plan)],
  };
}

/** What a .dockerignore of the project's own lets into an image that copies the whole project. */
function leftIn(folder: Folder, { build }: Plan): readonly string[] {
  if (build.kind !== "dockerfile" || build.text === null || !folder.entries.includes(".dockerignore")) return [];
  return folder.entries
    .filter((entry) => entry === ".git/" || (/^\.env(\.|$)/.test(entry) && !/example|sample|template/.test(entry)))
    .map((entry) => entry.replace(/\/$/, ""))
    .filter((name) => !keepsOut(folder, name))
    .map((name) => `add ${name} to .dockerignore: it would be in the image`);
}

/** Images that a written Dockerfile builds on. */
function basesOf({ build }: Plan): readonly Assumption[] {
  if (build.kind !== "dockerfile" || build.text === null) return [];
  const stages = new Set([...build.text.matchAll(/^FROM \S+ AS (\S+)$/gm)].map((match) => match[1] ?? ""));
  const names = [...build.text.matchAll(/^FROM (\S+)/gm)].map((match) => match[1] ?? "");
  const bases = [...new Set(names.filter((name) => !stages.has(name)))].join(" and ");
  const why =
    "the first build fetches and pins it, unless the store has that name: bronze pull, or bronze import --name";
  return [{ what: `${bases} from Docker Hub`, why }];
}

/** What of another tool's file the definition says, beyond what the plan tells by itself. */
function carried(wishes: Wishes, port: number): readonly Assumption[] {
  const { file } = wishes;
  return [
    ...(port < 1024 ? [{ what: "the capability NET_BIND_SERVICE", why: `port ${port} needs it` }] : []),
    ...(wishes.host === null
      ? []
      : [{ what: `requests for ${wishes.host.value}`, why: `${wishes.host.from} says so` }]),
    ...(wishes.healthPath === null
      ? []
      : [{ what: `healthy when ${wishes.healthPath.value} answers 2xx`, why: `${wishes.healthPath.from} asks it` }]),
    ...(wishes.memory === null ? [] : [{ what: `memory ${wishes.memory}`, why: `${file} limits it` }]),
    ...(wishes.cpu === null ? [] : [{ what: `cpu ${wishes.cpu}`, why: `${file} limits it` }]),
    ...(wishes.instances === null || wishes.instances === 1
      ? []
      : [{ what: `${wishes.instances} instances`, why: `${file} has that many replicas` }]),
  ];
}
