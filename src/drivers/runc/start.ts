import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { instanceName, type InstanceName, type ProcessName } from "../../model/names.ts";
import { processSettings } from "../../model/processes.ts";
import type { SecretName } from "../../model/secret.ts";
import type { ResourceSettings } from "../../model/content.ts";
import type { Clock } from "../../ports/clock.ts";
import type { InstanceSet, Task } from "../../ports/runtime.ts";
import type { Attachment } from "./attachments.ts";
import type { Cgroups } from "../../linux/cgroups.ts";
import { replaceFile } from "../../linux/files.ts";
import { hostResolvers } from "../../linux/host-files.ts";
import type { HostNames } from "./host-names.ts";
import { mountLines } from "./mount-lines.ts";
import { readMounts } from "../../linux/mountinfo.ts";
import type { Network } from "./network.ts";
import { identify, type ProcessIdentity } from "../../linux/processes.ts";
import { instancePaths, type Folders, type InstanceBirth, type InstancePaths, type InstanceRecord } from "./record.ts";
import { releaseInstance } from "./release-instance.ts";
import { boundFiles, type PreparedArtifact, type Root } from "./roots.ts";
import type { SecretPlace, SecretValues } from "./secret-place.ts";
import { seccompFor } from "../../linux/seccomp.ts";
import { ociSpec } from "./spec.ts";
import { outputOf, type SupervisorWatch } from "./supervisor-watch.ts";
import { createSupervised } from "./supervisor.ts";
import { resolveUser } from "../../linux/user.ts";

export interface StartTools {
  readonly folders: Folders;
  readonly hostNames: HostNames;
  readonly cgroups: Cgroups;
  readonly clock: Clock;
  readonly runtimePath: string;
  readonly openFiles: number;
  readonly coreBytes: number;
  readonly secretPlace: SecretPlace;
  readonly supervisors: SupervisorWatch;
}

export interface StartInput {
  readonly set: InstanceSet;
  readonly process: ProcessName;
  readonly ordinal: number;
  readonly prepared: PreparedArtifact;
  readonly root: Root;
  readonly address: string;
  readonly network: Network;
  /** Cores that all instances of its app and environment have together; null: no limit. */
  readonly cpuLimit: number | null;
  /** What a one-off instance does; absent for all others. */
  readonly task?: Task;
  readonly secrets: SecretValues;
  readonly attachment: Attachment;
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Makes and starts one instance. What it throws leaves traces behind: the caller removes them. */
export async function startInstance(tools: StartTools, input: StartInput): Promise<void> {
  const name = instanceName(input.set.name, input.ordinal, input.process);
  const paths = instancePaths(tools.folders, name);
  writeBundle(tools, input, name, paths);
  tools.cgroups.goFirst();
  const adopted = Promise.withResolvers<ProcessIdentity>();
  adopted.promise.catch(() => {});
  const pid = await createSupervised(
    { name, paths, folders: tools.folders, runtimePath: tools.runtimePath },
    (supervisorPid) => {
      if (supervisorPid === null) return adopted.reject(supervisorKilled(name));
      const identity = identify(supervisorPid);
      if (identity === undefined) adopted.reject(endedAtOnce(name));
      else tools.cgroups.adopt(supervisorPid).then(() => adopted.resolve(identity), adopted.reject);
    },
  );
  // runc has read it.
  if (hasVariables(input)) rmSync(paths.secretConfig);
  const first = identify(pid);
  if (first === undefined) throw endedAtOnce(name);
  const [supervisor] = await Promise.all([
    adopted.promise,
    input.network.join(pid, input.network.interfaceName(), input.address),
  ]);
  const mounts = readMounts(pid);
  const birth: InstanceBirth = {
    process: first,
    supervisor,
    rootDevice: mounts.find(({ target }) => target === "/")?.device ?? "",
    mounts: mountLines(mounts),
    output: outputOf(pid),
  };
  await replaceFile(paths.birth, JSON.stringify(birth));
  tools.supervisors.add(name);
  await releaseInstance(name, paths, first);
}

/** Synchronous: a handful of small files take less time than one way through the thread pool. */
function writeBundle(tools: StartTools, input: StartInput, name: InstanceName, paths: InstancePaths): void {
  const { set, prepared, address } = input;
  const { settings } = set.content;
  mkdirSync(paths.bundle, { mode: 0o700 });
  const user = resolveUser(prepared.config.user, prepared.passwd, prepared.group);
  const spec = ociSpec({
    name,
    root: input.root.path,
    arguments: argumentsOf(input),
    environment: environmentOf(input, name, user.home),
    cwd: prepared.config.workingDir,
    user,
    capabilities: settings.capabilities,
    resources: within(processSettings(settings, input.task?.like ?? input.process).resources, input.cpuLimit),
    tmpfs: settings.tmpfs,
    volumes: input.attachment.bindings,
    files: boundFiles.map((destination) => ({
      source: join(paths.bundle, destination.slice("/etc/".length)),
      destination,
    })),
    secrets: input.secrets.size === 0 ? null : tools.secretPlace.give(name, input.secrets, user),
    cgroupsPath: tools.cgroups.instancePath(name),
    seccomp: seccompFor(process.arch === "arm64" ? "arm64" : "amd64", settings.capabilities),
    openFiles: tools.openFiles,
    coreBytes: tools.coreBytes,
    limitSwap: tools.cgroups.limitsSwap,
  });
  const record: InstanceRecord = {
    name,
    set: set.name,
    ordinal: input.ordinal,
    digest: set.digest,
    artifact: set.content.artifact,
    layers: input.root.layers,
    address,
    port: settings.port,
    startedAtMs: tools.clock.now(),
    ...(input.attachment.volumes.length === 0 ? {} : { volumes: input.attachment.volumes }),
    ...(input.secrets.size === 0 ? {} : { hasSecrets: true }),
  };
  rmSync(paths.exit, { force: true });
  writeFileSync(`${paths.record}.new`, JSON.stringify(record));
  renameSync(`${paths.record}.new`, paths.record);
  const config = join(paths.bundle, "config.json");
  // The bundle may be on a disk, where no value may be.
  if (hasVariables(input)) symlinkSync(paths.secretConfig, config);
  writeFileSync(hasVariables(input) ? paths.secretConfig : config, JSON.stringify(spec), { mode: 0o600 });
  const shown = {
    hostname: `${name}\n`,
    hosts: tools.hostNames.text(name, set.environment, address),
    "resolv.conf": hostResolvers(),
  };
  for (const [file, text] of Object.entries(shown)) {
    writeFileSync(join(paths.bundle, file), text);
    // Whatever our umask is, every user inside may read them.
    chmodSync(join(paths.bundle, file), 0o644);
  }
}

/** No group may be given more of the CPU than the one around it. */
function within(resources: ResourceSettings, cpuLimit: number | null): ResourceSettings {
  return resources.cpu === null || cpuLimit === null || resources.cpu <= cpuLimit
    ? resources
    : { ...resources, cpu: cpuLimit };
}

function argumentsOf({ set, process, prepared, task }: StartInput): readonly string[] {
  if (task !== undefined) return task.command;
  const { command } = processSettings(set.content.settings, process);
  const args = command ?? [...prepared.config.entrypoint, ...prepared.config.command];
  if (args.length > 0) return args;
  throw new OperatorError("RUNTIME_FAILED", `Cannot start an instance of ${set.name}: its image names no command`, {
    hint: "set CMD or ENTRYPOINT in the image, or `run.command` in bronze.yaml",
  });
}

/** Whether secrets are also in its environment, which its configuration holds plain. */
function hasVariables({ set, secrets }: StartInput): boolean {
  return secrets.size > 0 && set.content.settings.secretVariables !== undefined;
}

/** Later lines win; the ones of ours last, so that an image cannot claim to be another release. */
function environmentOf({ set, prepared, secrets, task }: StartInput, name: string, home: string): readonly string[] {
  const lines = [
    defaultPath,
    `HOME=${home}`,
    ...prepared.config.environment,
    ...Object.entries(task?.sees === "artifact" ? {} : set.content.config).map(([key, value]) => `${key}=${value}`),
    ...(set.content.settings.secretVariables ?? []).flatMap((variable) => {
      const value = secrets.get(variable as SecretName);
      return value === undefined ? [] : [`${variable}=${value.toString("utf8")}`];
    }),
    `HOSTNAME=${name}`,
    `PORT=${set.content.settings.port}`,
    `BRONZE_APP=${set.app}`,
    `BRONZE_ENV=${set.environment}`,
    `BRONZE_RELEASE=v${set.release}`,
    `BRONZE_INSTANCE=${name}`,
    ...Object.entries(task?.environment ?? {}).map(([key, value]) => `${key}=${value}`),
  ];
  const byName = new Map(lines.map((line) => [line.split("=", 1)[0] ?? "", line]));
  return [...byName.values()];
}

function endedAtOnce(name: string): OperatorError {
  return new OperatorError("RUNTIME_FAILED", `Cannot start instance "${name}": its process ended at once`, {
    hint: `see what it wrote: \`bronze logs ${name}\``,
  });
}

function supervisorKilled(name: string): OperatorError {
  return new OperatorError("RUNTIME_FAILED", `Cannot start instance "${name}": conmon was killed meanwhile`, {
    hint: "see whether the machine ran out of memory: `dmesg`; then try again",
  });
}
