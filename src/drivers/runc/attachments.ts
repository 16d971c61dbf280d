import { OperatorError } from "../../errors/operator-error.ts";
import type { Cgroups } from "../../linux/cgroups.ts";
import { processesWithMount } from "../../linux/mount-namespaces.ts";
import { isAlive } from "../../linux/processes.ts";
import { resolveUser } from "../../linux/user.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Content, VolumeMount } from "../../model/content.ts";
import type { InstanceName } from "../../model/names.ts";
import { clashes, formatVolume, isTakenPath, type AttachedVolume, type VolumeId } from "../../model/volumes.ts";
import type { VolumeOwner, VolumeStore } from "../../ports/volumes.ts";
import { instanceNames, instancePaths, readBirth, readExit, readRecord, type Folders } from "./record.ts";
import { makersOf } from "./remove.ts";
import type { Roots } from "./roots.ts";

/** A volume as an instance is given it. */
export interface VolumeBinding {
  /** Folder on this machine. */
  readonly source: string;
  readonly destination: string;
}

/** Volumes of one instance from before it is made until its record tells of them. */
export interface Attachment {
  readonly volumes: readonly AttachedVolume[];
  readonly bindings: readonly VolumeBinding[];
  /** To be called once the instance's record is written, or nothing of it is left. */
  done(): void;
}

export interface Attachments {
  /**
   * Gives an instance its volumes, which are made where there are none yet.
   *
   * @throws {OperatorError} `VOLUME_ATTACHED` when one is another's and either wants it alone; `VOLUME_UNFIT`
   */
  attach(name: InstanceName, artifact: Digest, volumes: readonly AttachedVolume[]): Promise<Attachment>;
  /** @throws {OperatorError} `VOLUME_UNFIT` when a volume would hide files of the image, or lie where none may */
  check(artifact: Digest, mounts: readonly { readonly name: string; readonly mount: VolumeMount }[]): Promise<void>;
}

interface Holder {
  readonly holder: InstanceName;
  readonly volume: VolumeId;
  /** Its first process is gone already. */
  readonly isEnding: boolean;
}

/** Longest time that the rest of an instance may take to end after its first process, in ms. */
const endingMs = 2_000;
const pauseMs = 5;

/**
 * Who has which volume. The truth is the machine: records of instances whose processes live, also of those half-made by a
 * daemon that was killed, and mounts in any namespace. Between a look at it and an instance's record there is no wait
 * but for what is claimed here, and a state folder has one daemon, so no two instances get past each other.
 */
export function createAttachments(options: {
  readonly folders: Folders;
  readonly cgroups: Cgroups;
  readonly roots: Pick<Roots, "prepare" | "look">;
  readonly volumes: VolumeStore;
}): Attachments {
  const { folders, cgroups, roots } = options;
  const claims = new Map<InstanceName, readonly AttachedVolume[]>();

  /** Whether a process of it lives, or may yet come to be. */
  function isAliveAtAll(name: InstanceName): boolean {
    const paths = instancePaths(folders, name);
    const birth = readBirth(paths);
    if (birth !== undefined && isAlive(birth.process)) return true;
    if (cgroups.members(name).length > 0) return true;
    return birth === undefined && readExit(paths) === undefined && makersOf(paths.bundle).length > 0;
  }

  /** An instance that has one of these volumes, where not both may. */
  function holderOf(name: InstanceName, wanted: readonly AttachedVolume[]): Holder | undefined {
    for (const [holder, volumes] of claims) {
      const [volume] = holder === name ? [] : clashes(wanted, volumes);
      if (volume !== undefined) return { holder, volume, isEnding: false };
    }
    for (const holder of instanceNames(folders)) {
      const volumes = holder === name ? undefined : readRecord(instancePaths(folders, holder))?.volumes;
      const [volume] = volumes === undefined ? [] : clashes(wanted, volumes);
      if (volume === undefined || !isAliveAtAll(holder)) continue;
      const birth = readBirth(instancePaths(folders, holder));
      return { holder, volume, isEnding: birth !== undefined && !isAlive(birth.process) };
    }
    return undefined;
  }

  async function refuseMounted(name: InstanceName, wanted: readonly (AttachedVolume & VolumeBinding)[]): Promise<void> {
    for (const { id, mount, source } of wanted) {
      if (mount.sharing === "shared") continue;
      const [pid] = processesWithMount(source);
      if (pid !== undefined) throw heldBy(name, formatVolume(id), `process ${pid}`);
    }
  }

  async function ownerAt(artifact: Digest, path: string): Promise<VolumeOwner> {
    const { config, passwd, group } = await roots.prepare(artifact);
    const user = resolveUser(config.user, passwd, group);
    const { folder } = await roots.look(artifact, path);
    if (folder === undefined) return { uid: user.uid, gid: user.gid, mode: 0o755 };
    // A folder of root's that its user cannot write to was made by who did not think of it.
    const isOfGroup = [user.gid, ...user.additionalGids].includes(folder.gid);
    const isForgotten = folder.uid === 0 && user.uid !== 0 && (folder.mode & (isOfGroup ? 0o022 : 0o002)) === 0;
    return isForgotten ? { uid: user.uid, gid: user.gid, mode: folder.mode } : folder;
  }

  return {
    async attach(name, artifact, volumes) {
      const found: (AttachedVolume & VolumeBinding)[] = [];
      for (const volume of volumes) {
        const { path } = await options.volumes.ensure(volume.id, await ownerAt(artifact, volume.mount.path));
        found.push({ ...volume, source: path, destination: volume.mount.path });
      }
      // One whose first process has ended ends as a whole, in a moment.
      for (let waitedMs = 0; waitedMs < endingMs && holderOf(name, volumes)?.isEnding === true; waitedMs += pauseMs)
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      // From this look to the claim nothing comes between.
      const held = holderOf(name, volumes);
      if (held !== undefined) throw heldBy(name, formatVolume(held.volume), held.holder);
      claims.set(name, volumes);
      const done = (): void => void claims.delete(name);
      try {
        await refuseMounted(name, found);
      } catch (error) {
        done();
        throw error;
      }
      return { volumes, bindings: found.map(({ source, destination }) => ({ source, destination })), done };
    },
    async check(artifact, mounts) {
      for (const { name, mount } of mounts) {
        const { resolved, obstacle } = await roots.look(artifact, mount.path);
        const at = resolved === mount.path ? mount.path : `${mount.path}, which is ${resolved} in the image,`;
        if (isTakenPath(resolved))
          throw unfit(name, `${at} is not the app's to write to`, "choose another path for it, below /var/lib or /srv");
        if (obstacle !== undefined)
          throw unfit(
            name,
            `${at} is ${obstacle === resolved ? "a file of the image" : `a folder of the image that holds ${obstacle}`}, which the volume would hide`,
            "choose a path that the image leaves empty; what the image brings along can be copied there by the app's start",
          );
      }
    },
  };
}

/** The volumes of a content that its image must have room for. */
export function mountsToCheck({
  settings,
}: Content): readonly { readonly name: string; readonly mount: VolumeMount }[] {
  const all = [settings.volumes ?? {}, ...Object.values(settings.processes ?? {}).map(({ volumes }) => volumes ?? {})];
  return all.flatMap((volumes) => Object.entries(volumes).map(([name, mount]) => ({ name, mount })));
}

function heldBy(name: InstanceName, volume: string, holder: string): OperatorError {
  return new OperatorError(
    "VOLUME_ATTACHED",
    `Cannot start instance "${name}": volume ${volume} is attached to ${holder}, and only one may have it`,
    { hint: "it is tried again when that one has ended; a volume that several can share is `shared: true`" },
  );
}

function unfit(name: string, finding: string, hint: string): OperatorError {
  return new OperatorError("VOLUME_UNFIT", `Cannot attach volume "${name}": ${finding}`, { hint });
}
