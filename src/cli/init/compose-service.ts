import { healthFacts } from "../../build/dockerfile/health.ts";
import { capabilityNames } from "../../definition/capabilities.ts";
import { interpolated, portOf, sortVariables } from "./carried.ts";
import { noWishes, type NotCarriedOver, type StartLine, type Wishes } from "./proposal.ts";
import { escapeRegExp } from "./text.ts";
import { listOf, mapOf, textOf, type YamlFile, type YamlMap } from "./yaml-file.ts";

type Path = readonly (string | number)[];
type Leave = (what: string, path: Path, advice: string) => void;

/** Keys that are carried over, or that Bronze does by itself. */
const known = new Set(
  (
    "build image command entrypoint environment ports expose healthcheck deploy scale mem_limit cpus pids_limit tmpfs cap_add " +
    "depends_on links restart container_name hostname init read_only platform pull_policy stdin_open tty"
  ).split(" "),
);
const volumesAdvice =
  "an instance's root is read-only; `run.volumes: { NAME: PATH }` keeps what is written there, run.tmpfs forgets it";
const advices: ReadonlyMap<string, string> = new Map([
  ["volumes", volumesAdvice],
  ["networks", "instances reach the network by NAT; others reach them through the router"],
  ["network_mode", "instances have a network of their own"],
  ["env_file", "name a dotenv file without secrets as `config: FILE`, and list secrets under `secrets:`"],
  ["secrets", "list them under `secrets:`; `bronze secret set NAME` gives each a value"],
  ["configs", "COPY the files in the Dockerfile"],
  ["labels", "Bronze has no labels; a host name goes into route.host"],
  ["privileged", "instances have no more than the capabilities in run.capabilities"],
  ["devices", "instances have no devices of the machine"],
  ["working_dir", "say WORKDIR in the Dockerfile"],
  ["user", "say USER in the Dockerfile"],
  ["logging", "logs are rotated by Bronze; see `bronze logs`"],
  ["stop_grace_period", "requests in flight have run.drain; then SIGTERM, and SIGKILL 10 s later"],
  ["extra_hosts", "use names that the machine's resolver knows"],
  ["profiles", "it is built all the same"],
  ["extends", "write what it takes from there into this service"],
]);

/** What a service says, in our words. @param services names of all services of the file */
export function readService(
  yaml: YamlFile,
  file: string,
  name: string,
  fields: YamlMap,
  services: readonly string[],
): Wishes {
  const at = (...path: Path): Path => ["services", name, ...path];
  const notCarriedOver: NotCarriedOver[] = [];
  const leave: Leave = (what, path, advice) => notCarriedOver.push({ what, where: yaml.where(path), advice });
  const line = (key: string): StartLine | null => readLine(fields[key], yaml.where(at(key)));
  const build = mapOf(typeof fields["build"] === "string" ? { context: fields["build"] } : fields["build"]);
  for (const key of Object.keys(build))
    if (!["context", "dockerfile", "target", "args"].includes(key))
      leave(
        `build.${key}`,
        at("build", key),
        key === "secrets" ? "bronze up --secret id=NAME,src=FILE" : "this version has nothing for it",
      );
  for (const key of Object.keys(fields)) {
    if (known.has(key) || key.startsWith("x-") || isEmpty(fields[key])) continue;
    leave(key, at(key), advices.get(key) ?? "this version has nothing for it");
  }
  const deploy = mapOf(fields["deploy"]);
  const limits = mapOf(mapOf(deploy["resources"])["limits"]);
  const ports = readPorts(fields, yaml, at, leave);
  const environment = sortVariables(fields["environment"], at("environment"), leave, "environment variable");
  const context = contextOf(build["context"], at, leave);
  const health = readHealth(mapOf(fields["healthcheck"]), yaml, at, leave);
  const replicas = Number(textOf(deploy["replicas"]) ?? textOf(fields["scale"]) ?? Number.NaN);
  return {
    ...noWishes(file),
    name: interpolated(textOf(yaml.root["name"]) ?? "") || null,
    start: line("command"),
    entrypoint: line("entrypoint"),
    port: ports,
    healthPath: health.path,
    healthDeadline: health.deadline,
    env: Object.entries(environment).flatMap(([variable, value]) => {
      const path = at("environment", ...(Array.isArray(fields["environment"]) ? [] : [variable]));
      const other = services.find(
        (one) => one !== name && new RegExp(`(^|[/@,=])${escapeRegExp(one)}([:/,]|$)`).test(value),
      );
      if (other === undefined) return { name: variable, value, from: yaml.where(path) };
      leave(
        `environment variable ${variable}`,
        path,
        `it names the service ${other}, which is not carried over; set the address that it has`,
      );
      return [];
    }),
    memory: sizeOf(textOf(limits["memory"]) ?? textOf(fields["mem_limit"])),
    cpu: positive(textOf(limits["cpus"]) ?? textOf(fields["cpus"])),
    pids: positive(textOf(limits["pids"]) ?? textOf(fields["pids_limit"])),
    instances: Number.isInteger(replicas) && replicas >= 1 && replicas <= 256 ? replicas : null,
    host: readHost(fields["labels"], yaml.where(at("labels"))),
    tmpfs: (typeof fields["tmpfs"] === "string" ? [fields["tmpfs"]] : listOf(fields["tmpfs"]).map(String))
      .map((path) => path.split(":")[0] ?? "")
      .filter(
        (path) =>
          /^\/[A-Za-z0-9._/-]+$/.test(path) &&
          path !== "/tmp" &&
          !/(^|\/)\.\.(\/|$)|^\/(proc|sys|dev)(\/|$)/.test(path),
      ),
    capabilities: listOf(fields["cap_add"])
      .map((capability) => String(capability).toUpperCase().replace(/^CAP_/, ""))
      .filter((capability) => capabilityNames.has(`CAP_${capability}`)),
    folder: context,
    dockerfile: textOf(build["dockerfile"]),
    target: readTarget(textOf(build["target"]), at, leave),
    args: sortVariables(build["args"], at("build", "args"), leave, "build argument"),
    image: fields["build"] === undefined ? imageOf(fields["image"], at, leave) : null,
    notCarriedOver,
  };
}

/** A line for a shell stays one line; what Compose would take from its own environment stays for the shell of the image. */
function readLine(value: unknown, from: string): StartLine | null {
  const plain = (text: string): string => text.replaceAll("$$", "$");
  if (Array.isArray(value)) {
    const words = value.map((word) => plain(textOf(word) ?? ""));
    return words.length === 0 ? null : { line: words, from };
  }
  const text = textOf(value);
  return text === null || text.trim() === "" ? null : { line: plain(text), from };
}

function readPorts(fields: YamlMap, yaml: YamlFile, at: (...path: Path) => Path, leave: Leave): Wishes["port"] {
  const found = listOf(fields["ports"]).flatMap((item, index) => {
    const map = mapOf(item);
    const text = interpolated(textOf(item) ?? "") ?? "";
    const target = map["target"] ?? /(?:^|:)([0-9]{1,5})(?:\/tcp)?$/.exec(text)?.[1];
    const port = map["protocol"] === "udp" ? null : portOf(target, yaml.where(at("ports", index)));
    if (port === null) leave("a published port", at("ports", index), "only one TCP port with HTTP is served");
    return port ?? [];
  });
  const [first, ...more] = found;
  for (const port of more) if (port.value !== first?.value) notFirst(port.value);
  if (first !== undefined) return first;
  const exposed = listOf(fields["expose"])[0];
  return exposed === undefined ? null : portOf(/^[0-9]+/.exec(textOf(exposed) ?? "")?.[0], yaml.where(at("expose", 0)));
  function notFirst(port: number): void {
    leave(`port ${port}`, at("ports"), "an app has one port, behind the router");
  }
}

function contextOf(value: unknown, at: (...path: Path) => Path, leave: Leave): string {
  const text = interpolated(textOf(value) ?? ".") ?? ".";
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (!text.startsWith("/") && !parts.includes("..") && !/^[a-z+]+:|^git@/.test(text)) return parts.join("/");
  leave("the build context", at("build"), "it is outside of this folder; run `bronze init` there");
  return "";
}

function readTarget(target: string | null, at: (...path: Path) => Path, leave: Leave): string | null {
  if (target === null || !/^(dev|devel|development|debug|test|tests)$/i.test(target)) return target;
  leave("build.target", at("build", "target"), "it is for development; the last stage is built");
  return null;
}

function imageOf(value: unknown, at: (...path: Path) => Path, leave: Leave): string | null {
  const name = interpolated(textOf(value) ?? "");
  if (name !== null && /^[a-z0-9][A-Za-z0-9._/:@-]{0,255}$/.test(name))
    // Without a tag it would be a path.
    return /[:@][^/]*$/.test(name) ? name : `${name}:latest`;
  leave("image", at("image"), "its name comes from elsewhere; write build: { image: NAME }");
  return null;
}

function readHealth(
  check: YamlMap,
  yaml: YamlFile,
  at: (...path: Path) => Path,
  leave: Leave,
): { readonly path: Wishes["healthPath"]; readonly deadline: string | null } {
  if (isEmpty(check["test"]) || check["disable"] === true) return { path: null, deadline: null };
  const words = Array.isArray(check["test"]) ? check["test"].map(String) : ["CMD-SHELL", String(check["test"])];
  const facts = healthFacts({ Test: words.map((word) => word.replaceAll("$$", "$")) });
  const hint = facts?.kind === "http" ? facts : undefined;
  const deadline = durationOf(textOf(check["start_period"]));
  const timings = ["interval", "timeout", "retries", "start_interval", ...(deadline === null ? ["start_period"] : [])];
  const other = timings.filter((key) => check[key] !== undefined);
  if (hint === undefined) {
    if (words[0] !== "NONE")
      leave(
        "healthcheck",
        at("healthcheck"),
        "only curl or wget on a URL of the app itself can be told; say run.health.path",
      );
    return { path: null, deadline: null };
  }
  if (other.length > 0)
    leave(
      `healthcheck's ${other.join(", ")}`,
      at("healthcheck"),
      "Bronze asks each second, waits 5 s for an answer and takes 3 failures",
    );
  return {
    path: { value: hint.path.replace(/[?#].*$/, ""), from: yaml.where(at("healthcheck")) },
    deadline,
  };
}

/** A start period that is longer than what is waited anyway. */
function durationOf(text: string | null): string | null {
  const match = /^([0-9]{1,9})(s|m|h)$/.exec(text ?? "");
  const seconds = Number(match?.[1] ?? 0) * ({ s: 1, m: 60, h: 3600 }[match?.[2] ?? ""] ?? 0);
  return seconds > 30 ? text : null;
}

/** The host of a rule of Traefik. */
function readHost(labels: unknown, from: string): Wishes["host"] {
  const texts = Array.isArray(labels)
    ? labels.map(String)
    : Object.entries(mapOf(labels)).map(([key, value]) => `${key}=${String(value)}`);
  const rule = texts.find((text) => /^traefik\.http\.routers\.[^.]+\.rule=/.test(text));
  const host = /Host\(\s*[`"']([A-Za-z0-9.-]+)[`"']/.exec(rule ?? "")?.[1];
  return host === undefined ? null : { value: host.toLowerCase(), from };
}

/** `512m` of Docker is `512Mi` here. */
function sizeOf(text: string | null): string | null {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)b?$/i.exec(text ?? "");
  if (match === null) return null;
  const unit = { k: "Ki", m: "Mi", g: "Gi" }[(match[2] ?? "").toLowerCase()] ?? "";
  return `${match[1]}${unit}`;
}

function positive(text: string | null): number | null {
  const value = Number(text ?? Number.NaN);
  return value > 0 && value < 4_194_304 ? value : null;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}
