import type { BuildPlan, Plan, Variables, WorkerWish, Wishes } from "./proposal.ts";
import { yamlList, yamlMap, yamlWord } from "./text.ts";

/** A process besides web, as the definition says it. */
export interface WorkerPlan {
  readonly name: string;
  readonly command: readonly string[];
  readonly wish: WorkerWish;
}

/** The text of bronze.yaml. */
export function definitionText(app: string, plan: Plan, wishes: Wishes, workers: readonly WorkerPlan[]): string {
  return [
    `app: ${yamlWord(app)}`,
    ...buildLines(plan.build),
    ...(wishes.host === null ? [] : [`route: { host: ${yamlWord(wishes.host.value)} }`]),
    ...runLines(plan, wishes),
    ...processLines(workers),
    ...configLines(plan.config),
    ...(wishes.instances === null || wishes.instances === 1
      ? []
      : ["environments:", "  production:", `    instances: ${wishes.instances}`]),
    "",
  ].join("\n");
}

function buildLines(build: BuildPlan): readonly string[] {
  switch (build.kind) {
    case "image":
      return [`build: { image: ${yamlWord(build.name)} }`];
    case "dockerfile": {
      const fields = [
        `dockerfile: ${yamlWord(build.path)}`,
        ...(build.target === null ? [] : [`target: ${yamlWord(build.target)}`]),
        ...(Object.keys(build.args).length === 0 ? [] : [`args: ${yamlMap(build.args)}`]),
      ];
      return fields.length === 1
        ? [`build: { ${fields.join(", ")} }`]
        : ["build:", ...fields.map((field) => `  ${field}`)];
    }
    case "debian": {
      const copies = build.copy.map((rule) =>
        typeof rule === "string" ? yamlWord(rule) : `{ from: ${yamlWord(rule.from)}, to: ${yamlWord(rule.to)} }`,
      );
      return [
        "build:",
        `  debian: ${build.suite}`,
        `  packages: ${yamlList(build.packages)}`,
        ...(build.workdir === null ? [] : [`  workdir: ${yamlWord(build.workdir)}`]),
        ...(build.copyNote === null ? [] : [`  # ${build.copyNote}`]),
        `  copy: [${copies.join(", ")}]`,
        ...(Object.keys(build.env).length === 0 ? [] : [`  env: ${yamlMap(build.env)}`]),
        `  command: ${yamlList(build.command)}`,
      ];
    }
  }
}

function runLines(plan: Plan, wishes: Wishes): readonly string[] {
  const healthPath = wishes.healthPath?.value ?? plan.healthPath;
  const health = [
    ...(healthPath === null ? [] : [`path: ${yamlWord(healthPath)}`]),
    ...(wishes.healthDeadline === null ? [] : [`deadline: ${wishes.healthDeadline}`]),
  ];
  const resources = resourceFields(wishes);
  const tmpfs = [...new Set([...plan.tmpfs, ...wishes.tmpfs])];
  const forPort = plan.port < 1024 ? ["NET_BIND_SERVICE"] : [];
  const capabilities = [...new Set([...forPort, ...wishes.capabilities])];
  const fields = [
    ...(plan.command === null ? [] : [`command: ${yamlList(plan.command)}`]),
    `port: ${plan.port}`,
    ...(health.length === 0 ? [] : [`health: { ${health.join(", ")} }`]),
    ...(resources.length === 0 ? [] : [`resources: { ${resources.join(", ")} }`]),
    ...(capabilities.length === 0 ? [] : [`capabilities: ${yamlList(capabilities)}`]),
    ...(tmpfs.length === 0 ? [] : [`tmpfs: ${yamlList(tmpfs)}`]),
  ];
  return fields.length === 1 ? [`run: { ${fields[0]} }`] : ["run:", ...fields.map((field) => `  ${field}`)];
}

function configLines(config: Variables = {}): readonly string[] {
  return Object.keys(config).length === 0 ? [] : [`config: ${yamlMap(config)}`];
}

/** `processes:` of a definition; nothing where there are none. */
export function processLines(workers: readonly WorkerPlan[]): readonly string[] {
  return workers.length === 0 ? [] : ["processes:", ...workers.flatMap(workerLines)];
}

function workerLines({ name, command, wish }: WorkerPlan): readonly string[] {
  const resources = resourceFields(wish);
  const fields = [
    `command: ${yamlList(command)}`,
    ...(wish.instances === null || wish.instances === 1 ? [] : [`instances: ${wish.instances}`]),
    ...(resources.length === 0 ? [] : [`resources: { ${resources.join(", ")} }`]),
  ];
  return fields.length === 1
    ? [`  ${name}: { ${fields[0]} }`]
    : [`  ${name}:`, ...fields.map((field) => `    ${field}`)];
}

function resourceFields({ memory, cpu, pids }: Pick<Wishes, "memory" | "cpu" | "pids">): readonly string[] {
  return [
    ...(memory === null ? [] : [`memory: ${memory}`]),
    ...(cpu === null ? [] : [`cpu: ${cpu}`]),
    ...(pids === null ? [] : [`pids: ${pids}`]),
  ];
}
