import { parseAppName } from "../../model/names.ts";
import type { Folder } from "./folder.ts";
import { portOf, sortVariables } from "./carried.ts";
import { noWishes, workerOf, type NotCarriedOver, type StartLine, type WorkerWish, type Wishes } from "./proposal.ts";
import { appNameFrom } from "./text.ts";
import { listOf, mapOf, readYamlFile, textOf, isYamlMap } from "./yaml-file.ts";

const known = new Set(["service", "image", "servers", "proxy", "env", "builder"]);
/** Keys that are about Kamal's own work; Bronze needs nothing like them. */
const needless = new Set([
  "registry",
  "ssh",
  "sshkit",
  "boot",
  "aliases",
  "require_destination",
  "primary_role",
  "allow_empty_roles",
  "retain_containers",
  "minimum_version",
  "readiness_delay",
  "deploy_timeout",
  "drain_timeout",
  "stop_wait_time",
  "run_directory",
  "hooks_path",
  "error_pages_path",
  "secrets_path",
]);
const advices: ReadonlyMap<string, string> = new Map([
  [
    "accessories",
    "define each as an app beside this one (`apps:` and `needs:`), or tell the app the address that it has now",
  ],
  [
    "volumes",
    "an instance's root is read-only; `run.volumes: { NAME: PATH }` keeps what is written there, run.tmpfs forgets it",
  ],
  ["asset_path", "a switch is atomic and the old instances stay warm; assets of older releases are not kept"],
  ["labels", "Bronze has no labels"],
  ["logging", "logs are rotated by Bronze; see `bronze logs`"],
  ["healthcheck", "say it in run.health"],
  ["traefik", "HAProxy is set up by Bronze; see route"],
]);

/** Reads Kamal's config/deploy.yml. */
export function readKamal(folder: Folder, file: string): Wishes {
  const { root, where } = readYamlFile(folder, file);
  const notCarriedOver: NotCarriedOver[] = [];
  const leave = (what: string, path: readonly (string | number)[], advice: string): void => {
    notCarriedOver.push({ what, where: where(path), advice });
  };
  const service = textOf(root["service"]);
  const proxy = mapOf(root["proxy"]);
  const builder = mapOf(root["builder"]);
  const health = mapOf(proxy["healthcheck"]);
  const env = readEnv(root["env"], where, leave);
  const host = textOf(proxy["host"]) ?? textOf(listOf(proxy["hosts"])[0]);
  if (listOf(proxy["hosts"]).length > 1)
    leave("hosts but the first", ["proxy", "hosts"], "a route has one host; leave route.host out to answer for any");
  if (proxy["ssl"] !== undefined && proxy["ssl"] !== false)
    leave("TLS (proxy.ssl)", ["proxy", "ssl"], "requests come in by HTTP on port 80 for now; end TLS before Bronze");
  for (const key of Object.keys(proxy))
    if (!["host", "hosts", "ssl", "app_port", "healthcheck"].includes(key))
      leave(`proxy.${key}`, ["proxy", key], "Bronze's own settings hold; see route and run.health");
  const timings = Object.keys(health).filter((key) => key !== "path");
  if (timings.length > 0)
    leave(
      `proxy.healthcheck's ${timings.join(", ")}`,
      ["proxy", "healthcheck"],
      "Bronze asks each second, waits 5 s for an answer and takes 3 failures",
    );
  for (const other of folder.files.filter((path) => /^config\/deploy\.[\w-]+\.ya?ml$/.test(path) && path !== file))
    notCarriedOver.push({ what: other, where: other, advice: "say what differs under environments in bronze.yaml" });
  if (root["image"] !== undefined)
    leave("the image's name", ["image"], "Bronze builds into its own store; `bronze push` copies it to a registry");
  for (const key of ["arch", "remote", "local", "cache", "secrets", "ssh", "driver"])
    if (builder[key] !== undefined)
      leave(
        `builder.${key}`,
        ["builder", key],
        key === "secrets"
          ? "bronze up --secret id=NAME,env=NAME"
          : "Bronze builds on the machine it runs on, with its own cache",
      );
  for (const key of Object.keys(root)) {
    if (known.has(key) || needless.has(key)) continue;
    leave(key, [key], advices.get(key) ?? "this version has nothing for it");
  }
  const folderBuilt = (textOf(builder["context"]) ?? "").replace(/^\.\/?/, "").replace(/\/$/, "");
  return {
    ...noWishes(file),
    name: service === null || service.includes("<%") ? null : nameOf(service),
    ...readServers(root["servers"], where, leave),
    port: portOf(proxy["app_port"], where(["proxy", "app_port"])),
    healthPath: pathOf(health["path"], where(["proxy", "healthcheck", "path"])),
    env,
    host: host === null || host.includes("<%") ? null : { value: host.toLowerCase(), from: where(["proxy", "host"]) },
    folder: folderBuilt.startsWith("..") ? "" : folderBuilt,
    dockerfile: textOf(builder["dockerfile"]),
    target: textOf(builder["target"]),
    args: sortVariables(builder["args"], ["builder", "args"], leave, "build argument"),
    notCarriedOver,
  };
}

type Leave = (what: string, path: readonly (string | number)[], advice: string) => void;
type Where = (path: readonly (string | number)[]) => string;

interface Servers {
  readonly start: StartLine | null;
  readonly workers: readonly WorkerWish[];
}

function readServers(servers: unknown, where: Where, leave: Leave): Servers {
  const hosts = (value: unknown): number => (Array.isArray(value) ? value : listOf(mapOf(value)["hosts"])).length;
  const leaveHosts = (count: number, of: string, path: readonly (string | number)[]): void => {
    if (count > 0)
      leave(
        `${count} server${count === 1 ? "" : "s"}${of}`,
        path,
        "Bronze runs on the machine it serves: `bronze up` on each",
      );
  };
  if (Array.isArray(servers)) {
    leaveHosts(servers.length, "", ["servers"]);
    return { start: null, workers: [] };
  }
  let start: StartLine | null = null;
  const workers: WorkerWish[] = [];
  for (const [role, value] of Object.entries(mapOf(servers))) {
    const text = textOf(mapOf(value)["cmd"]);
    const line = text === null || text.includes("<%") ? null : { line: text, from: where(["servers", role, "cmd"]) };
    leaveHosts(hosts(value), ` of ${role}`, ["servers", role]);
    if (role === "web") start = line;
    else if (line !== null) workers.push(workerOf(role, line));
    else
      leave(`the role ${role}`, ["servers", role], "it has no cmd of its own; say it under processes: in bronze.yaml");
    if (mapOf(value)["options"] !== undefined)
      leave("options of docker run", ["servers", role, "options"], "say limits in run.resources");
  }
  return { start, workers };
}

/** `env: {clear: …, secret: …}`, or variables alone as older files have them. */
function readEnv(value: unknown, where: Where, leave: Leave): Wishes["env"] {
  const env = mapOf(value);
  const isParted = isYamlMap(env["clear"]) || Array.isArray(env["secret"]) || env["tags"] !== undefined;
  const path = isParted ? ["env", "clear"] : ["env"];
  for (const [index, name] of listOf(env["secret"]).entries())
    leave(
      `secret ${String(textOf(name)).split(":")[0]}`,
      ["env", "secret", index],
      "list it under `secrets:` as { name: NAME, variable: true }; `bronze secret set NAME` gives it a value",
    );
  if (env["tags"] !== undefined) leave("env.tags", ["env", "tags"], "one environment has one set of variables");
  const variables = sortVariables(isParted ? env["clear"] : value, path, leave, "environment variable");
  return Object.entries(variables).map(([name, text]) => ({ name, value: text, from: where([...path, name]) }));
}

function pathOf(value: unknown, from: string): Wishes["healthPath"] {
  const path = textOf(value);
  return path !== null && /^\/[\x21-\x7e]{0,500}$/.test(path) ? { value: path, from } : null;
}

function nameOf(service: string): string {
  return parseAppName(appNameFrom(service));
}
