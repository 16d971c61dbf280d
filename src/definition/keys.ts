import { nearestName } from "../model/nearest.ts";

/** The keys of one mapping of a definition. */
export interface KeySet {
  /** Where it stands, as people write it; NAME is an environment's. */
  readonly home: string;
  readonly known: readonly string[];
  /** Keys that a later version will know: refused, never ignored. */
  readonly later: readonly string[];
}

/** Where the values of a metric may come from. */
export const metricSources = ["errors", "router", "prometheus", "http", "command"] as const;
const metricHome = "environments.NAME.strategy.STRATEGY.analysis[]";

const keySet = (home: string, known: string, later: string): KeySet => ({
  home,
  known: known.split(" "),
  later: later.split(" "),
});

/** Keys that only a dockerfile: has. */
export const dockerfileKeys = ["target", "args"];

/** Keys that only a debian: recipe has. */
export const debianKeys = "packages recommends full architectures copy env workdir user command expose".split(" ");

/** Keys of a build whatever it is made from. */
export const settingKeys = ["compress", "allowSecrets"];

/** Keys of an app, at the top level or under its name in `apps`. */
const appKeys = "build route run processes config secrets release tests checks needs environments";
const laterAppKeys = "policy volumes gates registry extends";

/** Every mapping with fixed keys. */
export const keySets = {
  top: keySet("", `app apps ${appKeys}`, laterAppKeys),
  apps: keySet("apps.NAME", appKeys, laterAppKeys),
  build: keySet(
    "build",
    `dockerfile debian image ${settingKeys.join(" ")} ${dockerfileKeys.join(" ")} ${debianKeys.join(" ")}`,
    "lock platforms run secrets snapshot base",
  ),
  copy: keySet("build.copy", "from to", "owner mode exclude"),
  secret: keySet("secrets", "name variable from", "mode path"),
  secretSource: keySet("secrets[].from", "file env command", "vault aws"),
  allowance: keySet("build.allowSecrets", "path rule reason", ""),
  route: keySet("route", "host path", "tls redirect headers"),
  run: keySet("run", "command port health drain minReady resources capabilities tmpfs volumes", "user env stopSignal"),
  health: keySet("run.health", "path tcp deadline", "interval timeout command"),
  resources: keySet("run.resources", "memory cpu pids", "swap io"),
  process: keySet("processes.NAME", "command instances resources drain volumes", "health user env stopSignal"),
  volume: keySet("run.volumes.NAME", "path shared snapshot app", "size backup"),
  environment: keySet(
    "environments.NAME",
    "from instances processes strategy deadline rollback route limits config secrets checks trust revoked",
    "approvals window gates policy maxAge runtime tests",
  ),
  release: keySet("release", "run reversible deadline", ""),
  test: keySet("tests", "run deadline env", "config secrets"),
  check: keySet("checks", "run path status deadline", ""),
  rollback: keySet("environments.NAME.rollback", "keepWarm within watch", "analysis automatic"),
  limits: keySet("environments.NAME.limits", "memory cpu pids", "swap io"),
  metric: keySet(
    metricHome,
    `name ${metricSources.join(" ")} interval count delay success failure failureLimit inconclusiveLimit errorLimit successLimit`,
    "template datadog cloudwatch",
  ),
  errorRule: keySet(`${metricHome}.errors`, "floor ratio requests", ""),
  prometheus: keySet(`${metricHome}.prometheus`, "url query", "headers insecure timeout"),
  httpMetric: keySet(`${metricHome}.http`, "url json", "method headers body timeout"),
  strategy: keySet("environments.NAME.strategy", "rolling canary blue-green recreate", ""),
  rolling: keySet("environments.NAME.strategy.rolling", "maxSurge maxUnavailable analysis", ""),
  blueGreen: keySet("environments.NAME.strategy.blue-green", "hold preview analysis", ""),
  canary: keySet("environments.NAME.strategy.canary", "steps each analysis", ""),
  canaryStep: keySet("environments.NAME.strategy.canary.steps", "weight hold analyse", ""),
} as const;

/**
 * Mappings of which a definition has many: a key that strayed from one says too little about where it belongs. And those
 * that have the same keys as another.
 */
const listed: readonly KeySet[] = [
  keySets.copy,
  keySets.allowance,
  keySets.volume,
  keySets.test,
  keySets.check,
  keySets.apps,
  keySets.limits,
  keySets.metric,
  keySets.errorRule,
  keySets.prometheus,
  keySets.httpMetric,
  keySets.canaryStep,
];

/** What other tools call our keys. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ["name", "app"],
  ["service", "app"],
  ["migrate", "release"],
  ["cmd", "command"],
  ["entrypoint", "command"],
  ["ports", "port"],
  ["healthcheck", "health"],
  ["replicas", "instances"],
  ["mem", "memory"],
  ["mem_limit", "memory"],
  ["cpus", "cpu"],
  ["hostname", "host"],
  ["domain", "host"],
  ["envs", "environments"],
]);

/**
 * What to do about a key that its mapping does not know: where it belongs, or the nearest known one.
 *
 * @param path of the mapping, so that its environment can be named
 */
export function adviseKey(name: string, here: KeySet, path: string): string {
  if (name === "<<") return "merge keys are not taken; write the keys out, or use an alias for the whole mapping";
  const own = otherNames.get(name.toLowerCase()) ?? name;
  if (here.known.includes(own)) return `unknown key, did you mean "${own}"?`;
  const homes = Object.values(keySets).filter((set) => !listed.includes(set) && set.known.includes(own));
  if (homes.length > 0) {
    const environment = /(?:^|\.)environments\.([^.]+)/.exec(path)?.[1] ?? "NAME";
    const places = homes
      .map(({ home }) =>
        home === "" ? "the top level" : home.replace("environments.NAME", `environments.${environment}`),
      )
      .join(" or ");
    return `unknown key here, "${own}" belongs under ${places}`;
  }
  const near = nearestName(name, [...here.known, ...here.later]);
  return near === undefined
    ? `unknown key; known here: ${here.known.join(", ")}`
    : `unknown key, did you mean "${near}"?`;
}
