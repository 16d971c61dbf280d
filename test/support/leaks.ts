import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupTrees } from "../../src/linux/cgroups.ts";
import { readMounts } from "../../src/linux/mountinfo.ts";
import type { ReleaseRow } from "../../src/model/api/releases.ts";
import type { StatusReport } from "../../src/model/api/status.ts";
import { placesOf, type Places } from "../../src/model/places.ts";

/** What a state folder is allowed to have on the machine. */
export interface Rightful {
  /** Every instance there is to be, of all apps. */
  readonly instances: readonly { readonly name: string; readonly set: string }[];
  /** Digests of their artifacts. */
  readonly artifacts: readonly string[];
}

/** What a status says there is; the releases tell the artifacts. */
export function rightfulOf(report: StatusReport, releases: readonly ReleaseRow[]): Rightful {
  const instances = report.environments.flatMap((environment) => environment.instances);
  const sets = new Set<string>(instances.map(({ set }) => set));
  const artifacts = releases
    .filter(({ app, environment, release }) => sets.has(`${app}-${environment}-v${release}`))
    .map(({ artifact }) => artifact);
  return { instances, artifacts: [...new Set(artifacts)] };
}

/**
 * Everything of a state folder on this machine that belongs to none of its rightful instances, nor to its daemon and
 * router, one line each; and what is missing of a rightful instance. Empty: nothing leaked. Kernel objects go some time
 * after their process, so ask until it is empty.
 */
export function leaksOf(stateDir: string, rightful: Rightful): readonly string[] {
  const places = placesOf(stateDir);
  const names = new Set(rightful.instances.map(({ name }) => name));
  return [
    ...processLeaks(places, names),
    ...mountLeaks(places, rightful.artifacts),
    ...cgroupLeaks(places, names),
    ...networkLeaks(places, names),
    ...routerLeaks(places, rightful),
    ...fileLeaks(places, names),
  ];
}

/** Everything that bears the mark of a state folder, after all was taken down: nothing may. */
export function remainsOf(stateDir: string): readonly string[] {
  const places = placesOf(stateDir);
  const nobody = new Set<string>();
  return [
    ...processesOf(places).map((one) => `process ${one.pid}: ${one.command}`),
    ...mountsOf(places).map(({ target }) => `mount ${target}`),
    ...cgroupLeaks(places, nobody),
    ...cgroupFoldersOf(places).map((path) => `cgroup ${path}`),
    ...readdirSync("/sys/class/net")
      .filter((name) => name.includes(places.tag))
      .map((name) => `interface ${name}`),
    ...firewallLines(places).map((line) => `firewall rule ${line}`),
    ...loopsOf(places),
    ...listOf(join(places.run, "instances")).map((name) => `bundle ${name}`),
  ];
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly cgroup: string;
}

export function processesOf({ state, tag }: Places): readonly Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const [phase, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const line = readFileSync(`/proc/${name}/cmdline`, "utf8");
        const cgroup = readFileSync(`/proc/${name}/cgroup`, "utf8");
        const isOurs = line.includes(`${state}/`) || line.includes(`${state}\0`) || cgroup.includes(`/bronze-${tag}/`);
        if (!isOurs || phase === "Z") return [];
        return [{ pid: Number(name), parent: Number(parent), command: line.replaceAll("\0", " ").trim(), cgroup }];
      } catch {
        // It ended while it was looked at.
        return [];
      }
    });
}

function processLeaks(places: Places, names: ReadonlySet<string>): readonly string[] {
  const found = processesOf(places);
  const daemon = pidIn(join(places.run, "bronze.pid"));
  const supervisor = pidIn(join(places.run, "router/supervisor.pid"));
  const proxy = pidIn(join(places.run, "router/haproxy.pid"));
  const conmons: string[] = [];
  const inhabited = new Set<string>();
  const leaks: string[] = [];
  for (const one of found) {
    const conmon = /^\S*conmon .*?-n (\S+)/.exec(one.command)?.[1];
    const inside = new RegExp(`/bronze-${places.tag}/[^/\n]+/([^/\n]+)`).exec(
      one.cgroup.replaceAll(`/bronze-${places.tag}/supervisors`, ""),
    )?.[1];
    if (conmon !== undefined && names.has(conmon)) conmons.push(conmon);
    else if (conmon === undefined && inside !== undefined && names.has(inside)) inhabited.add(inside);
    else if (one.pid !== proxy && one.parent !== proxy && one.pid !== daemon && one.pid !== supervisor)
      leaks.push(`process ${one.pid}: ${one.command.slice(0, 200)}`);
  }
  for (const name of names) {
    const count = conmons.filter((one) => one === name).length;
    if (count !== 1) leaks.push(`${name} has ${count} conmon processes`);
    if (!inhabited.has(name)) leaks.push(`${name} has no process`);
  }
  for (const pid of [daemon, supervisor, proxy])
    if (pid !== undefined && !found.some((one) => one.pid === pid))
      leaks.push(`a pid file names process ${pid}, which is not there`);
  return leaks;
}

export function mountsOf({ state }: Places) {
  return readMounts().filter(({ target, source }) => target.startsWith(`${state}/`) || source.startsWith(`${state}/`));
}

/** Roots of rightful artifacts, and the layers below them, each mounted once. */
function mountLeaks(places: Places, artifacts: readonly string[]): readonly string[] {
  const mounts = mountsOf(places);
  const kept = artifacts.map((digest) => digest.replace("sha256:", "").slice(0, 16));
  const isRoot = (target: string): boolean =>
    kept.some((artifact) => target.startsWith(`${join(places.run, "roots", artifact)}-`));
  const lowers = mounts.filter(({ target }) => isRoot(target)).map(({ superOptions }) => superOptions);
  const targets = mounts.map(({ target }) => target);
  const secrets = join(places.run, "secrets");
  const foreign = targets.filter(
    (target) => target !== secrets && !isRoot(target) && !lowers.some((options) => options.includes(target)),
  );
  const twice = targets.filter((target, index) => targets.indexOf(target) !== index);
  return [
    ...foreign.map((target) => `mount ${target}`),
    ...twice.map((target) => `mounted twice: ${target}`),
    ...loopsOf(places),
  ];
}

function loopsOf({ state }: Places): readonly string[] {
  return readdirSync("/sys/block").flatMap((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, "utf8").startsWith(`${state}/`) ? [`loop device ${name}`] : [];
  });
}

export function cgroupFoldersOf({ tag }: Places): readonly string[] {
  return cgroupTrees()
    .map(({ target }) => join(target, `bronze-${tag}`))
    .filter((path) => existsSync(path));
}

function cgroupLeaks(places: Places, names: ReadonlySet<string>): readonly string[] {
  return cgroupFoldersOf(places).flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "supervisors")
      .flatMap((entry) => {
        // Of an app in an environment, for as long as it is up.
        const own = [...names].filter((name) => name.startsWith(`${entry.name}-v`));
        const inside = readdirSync(join(folder, entry.name), { withFileTypes: true }).filter((one) =>
          one.isDirectory(),
        );
        const foreign = inside.filter(({ name }) => !names.has(name)).map(({ name }) => join(entry.name, name));
        return own.length === 0 ? [entry.name] : foreign;
      })
      .map((path) => `cgroup ${join(folder, path)}`),
  );
}

export function firewallLines({ tag }: Places): readonly string[] {
  return ["filter", "nat"].flatMap((table) =>
    execFileSync("iptables-save", ["-t", table], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(tag))
      .map((line) => `${table} ${line.replace(/ \[\d+:\d+\]$/, "")}`),
  );
}

function networkLeaks(places: Places, names: ReadonlySet<string>): readonly string[] {
  const pairs = readdirSync("/sys/class/net").filter((name) => name.startsWith(`z${places.tag}`));
  const rules = firewallLines(places);
  return [
    ...(pairs.length === names.size ? [] : [`${pairs.length} interfaces for ${names.size} instances`]),
    ...rules.filter((rule, index) => rules.indexOf(rule) !== index).map((rule) => `twice: ${rule}`),
  ];
}

/** Backends of sets that are gone, slots of instances that are gone, addresses that two instances have. */
function routerLeaks(places: Places, rightful: Rightful): readonly string[] {
  const path = join(places.state, "router/record.json");
  if (!existsSync(path)) return [];
  const { sets } = JSON.parse(readFileSync(path, "utf8")) as {
    readonly sets: readonly { readonly set: string; readonly slots: readonly Slot[] }[];
  };
  const slots = sets.flatMap((set) => set.slots);
  const addresses = slots.map(({ address }) => address);
  const isSet = new Set(rightful.instances.map(({ set }) => set));
  const isName = new Set(rightful.instances.map(({ name }) => name));
  return [
    ...sets.filter(({ set }) => !isSet.has(set)).map(({ set }) => `backend of ${set}`),
    ...slots.filter(({ instance }) => !isName.has(instance)).map(({ instance }) => `slot of ${instance}`),
    ...addresses.filter((one, index) => addresses.indexOf(one) !== index).map((one) => `address given twice: ${one}`),
  ];
}

interface Slot {
  readonly instance: string;
  readonly address: string;
}

function fileLeaks(places: Places, names: ReadonlySet<string>): readonly string[] {
  const perInstance = ["instances", "runc", "exits", "secrets"].flatMap((folder) =>
    listOf(join(places.run, folder))
      .filter((name) => !names.has(name))
      .map((name) => `file ${join(places.run, folder, name)}`),
  );
  const temporary = [
    ...listOf(join(places.state, "store/tmp")).map((name) => join("store/tmp", name)),
    ...listOf(places.state).filter(isTemporary),
    ...["layers", "router", "run", "run/router", "run/seals", "run/layers", "run/roots"].flatMap((folder) =>
      listOf(join(places.state, folder))
        .filter(isTemporary)
        .map((name) => join(folder, name)),
    ),
  ];
  return [...perInstance, ...temporary.map((name) => `temporary file ${name}`)];
}

function isTemporary(name: string): boolean {
  return /\.(tmp|new)$|^\.making-/.test(name);
}

function listOf(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function pidIn(path: string): number | undefined {
  const pid = existsSync(path) ? Number.parseInt(readFileSync(path, "utf8"), 10) : Number.NaN;
  return Number.isInteger(pid) ? pid : undefined;
}
