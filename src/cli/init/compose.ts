import { OperatorError } from "../../errors/operator-error.ts";
import { nearestName } from "../../model/nearest.ts";
import { interpolated } from "./carried.ts";
import { readService } from "./compose-service.ts";
import type { Folder } from "./folder.ts";
import type { NotCarriedOver, WorkerWish, Wishes } from "./proposal.ts";
import { isYamlMap, listOf, mapOf, readYamlFile, textOf, type YamlFile, type YamlMap } from "./yaml-file.ts";

/** Programs that an app uses and that are not the app. */
const backing =
  /^(?:.*\/)?(postgres|postgis|pgvector|timescaledb|mysql|mariadb|redis|valkey|mongo|rabbitmq|elasticsearch|opensearch|minio|memcached|kafka|zookeeper|mailhog|mailpit|mailcatcher|adminer|pgadmin4?|traefik|nginx-proxy|localstack|nats|clickhouse-server|vault|consul|etcd|prometheus|grafana)(?:[:@].*)?$/;

/** Names of what stands before an app, as Bronze's own router does. */
const inFront = /proxy|nginx|traefik|caddy|haproxy|envoy|gateway|balancer/i;

/**
 * Reads a compose file: one of its services becomes the app.
 *
 * @param service the one that is asked for
 * @returns null when all of it are databases and the like
 * @throws {OperatorError} `NOT_FOUND` when there is no such service, or no service at all
 */
export function readCompose(folder: Folder, file: string, service: string | null): Wishes | null {
  const yaml = readYamlFile(folder, file);
  const services = Object.entries(mapOf(yaml.root["services"])).filter((entry): entry is [string, YamlMap] =>
    isYamlMap(entry[1]),
  );
  const chosen = chooseService(services, file, service);
  if (chosen === undefined) return null;
  const [name, fields] = chosen;
  const names = services.map(([other]) => other);
  const wishes = readService(yaml, file, name, fields, names);
  const isWorker = (other: YamlMap): boolean => other !== fields && runsBeside(other, fields);
  const workers = services.flatMap(([one, other]) => (isWorker(other) ? { one, other } : []));
  const found = workers.map(({ one, other }) => readWorker(readService(yaml, file, one, other, names), one, wishes));
  return {
    ...wishes,
    workers: found.map(({ worker }) => worker),
    assumed: services.length < 2 ? [] : [{ what: `the service ${name} is the app`, why: whyChosen(fields, service) }],
    notCarriedOver: [
      ...wishes.notCarriedOver,
      ...found.flatMap(({ notCarriedOver }) => notCarriedOver),
      ...otherServices(
        yaml,
        services.filter(([, other]) => !isWorker(other)),
        name,
        fields,
      ),
      ...topLevel(yaml),
    ],
  };
}

/** Whether a service is another process of the same image: made or named alike, with a command of its own and no ports. */
function runsBeside(fields: YamlMap, app: YamlMap): boolean {
  const source = ({ build, image }: YamlMap): string =>
    JSON.stringify(
      build === undefined
        ? [image]
        : ["context", "dockerfile", "target", "args"].map((key) =>
            typeof build === "string" ? (key === "context" ? folderName(build) : null) : sourcePart(mapOf(build), key),
          ),
    );
  const isOpen = listOf(fields["ports"]).length > 0;
  return !isOpen && source(fields) === source(app) && [fields["command"], fields["entrypoint"]].some(isLine);
}

function sourcePart(build: YamlMap, key: string): unknown {
  return key === "context" ? folderName(textOf(build["context"]) ?? ".") : (build[key] ?? null);
}

function folderName(path: string): string {
  return path.replace(/^\.\/+/, "").replace(/\/+$/, "") || ".";
}

function isLine(value: unknown): boolean {
  return (typeof value === "string" && value.trim() !== "") || listOf(value).length > 0;
}

/** A service as another process of the app, whose config it shares. */
function readWorker(
  service: Wishes,
  name: string,
  app: Wishes,
): { readonly worker: WorkerWish; readonly notCarriedOver: readonly NotCarriedOver[] } {
  const { start, entrypoint, instances, memory, cpu, pids } = service;
  const own = service.env.filter(
    (one) => !app.env.some((other) => other.name === one.name && other.value === one.value),
  );
  const known = new Set(app.notCarriedOver.map(({ what }) => what));
  return {
    worker: {
      name,
      from: (start ?? entrypoint)?.from ?? service.file,
      start,
      entrypoint,
      instances,
      memory,
      cpu,
      pids,
    },
    notCarriedOver: [
      ...service.notCarriedOver.filter(({ what }) => !known.has(what)),
      ...own.map((variable) => ({
        what: `environment variable ${variable.name} of ${name}`,
        where: variable.from,
        advice: "all processes of an app have the same variables",
      })),
    ],
  };
}

function chooseService(
  services: readonly (readonly [string, YamlMap])[],
  file: string,
  asked: string | null,
): readonly [string, YamlMap] | undefined {
  const names = services.map(([name]) => name);
  if (asked !== null) {
    const found = services.find(([name]) => name === asked);
    if (found !== undefined) return found;
    const near = nearestName(asked, names);
    throw new OperatorError("NOT_FOUND", `Cannot use service "${asked}": ${file} has no such service`, {
      hint: `${near === undefined ? "" : `did you mean ${near}? `}it has ${names.join(", ") || "none"}`,
    });
  }
  const built = services.filter(([, fields]) => fields["build"] !== undefined);
  const open = (list: typeof services): typeof services =>
    list.filter(([, fields]) => listOf(fields["ports"]).length > 0);
  const usual = (list: typeof services): (typeof services)[number] | undefined =>
    list.find(([name]) => /^(web|app|server|api|site|www|frontend)$/.test(name)) ?? list[0];
  const behind = built.filter(([name]) => !inFront.test(name));
  const images = services.filter(([, { image }]) => typeof image === "string" && !backing.test(image));
  return usual(open(behind)) ?? usual(open(built)) ?? usual(built) ?? usual(open(images)) ?? usual(images);
}

function whyChosen(fields: YamlMap, asked: string | null): string {
  if (asked !== null) return "--service says so";
  const verb = fields["build"] === undefined ? "runs" : "is built";
  return listOf(fields["ports"]).length > 0 ? `it ${verb} and has ports` : `it ${verb}`;
}

function otherServices(
  yaml: YamlFile,
  services: readonly (readonly [string, YamlMap])[],
  chosen: string,
  fields: YamlMap,
): readonly NotCarriedOver[] {
  const needed = new Set([
    ...listOf(fields["depends_on"]).map(String),
    ...Object.keys(mapOf(fields["depends_on"])),
    ...listOf(fields["links"]).map((link) => String(link).split(":")[0] ?? ""),
  ]);
  return services
    .filter(([name]) => name !== chosen)
    .map(([name, { image, build }]) => {
      const what = `the service ${name}${needed.has(name) ? `, which ${chosen} needs` : ""}`;
      const where = yaml.where(["services", name]);
      const text = interpolated(textOf(image) ?? "") ?? "";
      if (build !== undefined && image === undefined)
        return {
          what,
          where,
          advice: `it is an app of its own: bronze init --from ${where.split(" ")[0]} --service ${name}`,
        };
      return {
        what: `${what}${text === "" ? "" : ` (${text.replace(/@.*$/, "").slice(0, 60)})`}`,
        where,
        advice: backing.test(text)
          ? "define it as an app beside this one (`apps:` and `needs:`), or tell the app the address that it has now"
          : "it is an app of its own, or runs where it runs now",
      };
    });
}

function topLevel(yaml: YamlFile): readonly NotCarriedOver[] {
  const advices: Readonly<Record<string, string>> = {
    volumes: "say them where they appear, under `run.volumes: { NAME: PATH }`",
    networks: "instances reach the network by NAT; others reach them through the router",
    secrets: "list them under `secrets:`; `bronze secret set NAME` gives each a value",
    configs: "COPY the files in the Dockerfile",
    include: "name the other file with --from",
  };
  return Object.entries(advices)
    .filter(([key]) => yaml.root[key] !== undefined && yaml.root[key] !== null)
    .map(([key, advice]) => ({ what: key, where: yaml.where([key]), advice }));
}
