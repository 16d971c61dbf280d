import { Command } from "commander";
import type {
  VolumeRemoveRequest,
  VolumeRestoreRequest,
  VolumeResult,
  VolumeRow,
  VolumeSnapshotRequest,
} from "../../model/api/volumes.ts";
import { exportVolume } from "../../drivers/volumes/export.ts";
import { volumeFolder } from "../../drivers/volumes/layout.ts";
import { createVolumeStore } from "../../drivers/volumes/volumes.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { formatBytes } from "../../model/quantities.ts";
import { formatVolume, parseSnapshotName, parseVolumeName } from "../../model/volumes.ts";
import type { StoredVolume } from "../../ports/volumes.ts";
import { renderVolumes } from "../../render/volumes.ts";
import { isUnreachable } from "../api-client.ts";
import { writeArchive } from "../archive-file.ts";
import { createContext, withTarget, type Context, type TargetOptions } from "../context.ts";
import { ensureDaemon } from "../daemon-start.ts";
import { followDone } from "../follow.ts";
import { findTarget } from "../project.ts";
import { whoAsks } from "../who.ts";

interface SnapshotOptions extends TargetOptions {
  readonly snapshot?: string;
  readonly why?: string;
}

const goesOn = { onceAsked: "what was asked for goes on in the daemon: look with `bronze volume list`" };

export function volumeCommand(): Command {
  return new Command("volume")
    .description("What instances keep beyond their end: volumes, and snapshots of them that nothing changes.")
    .addCommand(listCommand())
    .addCommand(snapshotCommand())
    .addCommand(restoreCommand())
    .addCommand(exportCommand())
    .addCommand(removeCommand());
}

function listCommand(): Command {
  return withTarget(new Command("list"))
    .description(
      "Shows volumes with their snapshots, who has them, and the releases that need them; also without a daemon.",
    )
    .action(async (options: TargetOptions) => {
      const context = createContext(options);
      const { app, environment } = options;
      const rows = await context.client
        .get<readonly VolumeRow[]>("/v1/volumes", { app, environment }, context.signal)
        .catch((error: unknown) => withoutDaemon(context, options, error));
      for (const line of renderVolumes(rows, Date.now())) context.output.line(line);
      context.output.record(rows);
    });
}

/** Volumes outlive the daemon: what is on the disk is told without it. */
async function withoutDaemon(context: Context, options: TargetOptions, error: unknown): Promise<readonly VolumeRow[]> {
  if (!isUnreachable(error) || process.getuid?.() !== 0) throw error;
  const store = openVolumes(context);
  const volumes = (await store.list()).filter(
    ({ id }) =>
      (options.app === undefined || id.app === options.app) &&
      (options.environment === undefined || id.environment === options.environment),
  );
  const rows = volumes.map(async ({ id, ...volume }) => ({
    ...id,
    ...volume,
    bytes: await store.size(id),
    attachedTo: [],
    releases: [],
  }));
  return Promise.all(rows);
}

function snapshotCommand(): Command {
  return withTarget(new Command("snapshot"))
    .description("Makes an immutable snapshot of a volume, which stays until it is removed.")
    .argument("<volume>", "as `bronze volume list` shows it", parseVolumeName)
    .option("--snapshot <name>", "its name (default: the moment)", parseSnapshotName)
    .option("-m, --why <text>", "why, for the record")
    .action(async (volume: string, options: SnapshotOptions) => {
      const context = createContext(options, goesOn);
      const body: VolumeSnapshotRequest = { ...(await asked(context, options)), volume, ...named(options) };
      const result = await followDone<VolumeResult>(context, "/v1/volume/snapshot", body);
      if (result.torn)
        context.output.note(
          `${context.output.paint.warn("warning:")} the volume was in use: each file is as it was at some moment of the copy, not all at the same one`,
        );
      context.output.line(`snapshot ${result.snapshot} of volume ${volume} is made`);
      context.output.record(result);
    });
}

function restoreCommand(): Command {
  return withTarget(new Command("restore"))
    .description("Makes a new volume from a snapshot; nothing is written over. A release that names it puts it to use.")
    .argument("<volume>", "as `bronze volume list` shows it", parseVolumeName)
    .option("--snapshot <name>", "which (default: the newest)", parseSnapshotName)
    .option("--as <volume>", "name of the new volume (default: the old one's and the moment)", parseVolumeName)
    .option("-m, --why <text>", "why, for the record")
    .action(async (volume: string, options: SnapshotOptions & { readonly as?: string }) => {
      const context = createContext(options, goesOn);
      const as = options.as === undefined ? {} : { as: options.as };
      const body: VolumeRestoreRequest = { ...(await asked(context, options)), volume, ...named(options), ...as };
      const result = await followDone<VolumeResult>(context, "/v1/volume/restore", body);
      context.output.line(`volume ${result.volume} is made from snapshot ${result.snapshot} of ${volume}`);
      context.output.note(
        `to use it, name it in bronze.yaml in place of ${volume}, with the same path, and run \`bronze up\``,
      );
      context.output.record(result);
    });
}

function removeCommand(): Command {
  return withTarget(new Command("remove"))
    .description(
      "Removes a snapshot, or a volume with all its snapshots, for good. Releases that need it are named first.",
    )
    .argument("<volume>", "as `bronze volume list` shows it", parseVolumeName)
    .option("--snapshot <name>", "only this snapshot of it", parseSnapshotName)
    .option("--yes", "yes, for good")
    .option("-m, --why <text>", "why, for the record")
    .action(async (volume: string, options: SnapshotOptions & { readonly yes?: boolean }) => {
      const context = createContext(options, goesOn);
      const yes = options.yes === true;
      const body: VolumeRemoveRequest = { ...(await asked(context, options, "named")), volume, ...named(options), yes };
      const result = await followDone<VolumeResult>(context, "/v1/volume/remove", body);
      context.output.line(
        result.snapshot === null
          ? `volume ${volume} and its snapshots are removed`
          : `snapshot ${result.snapshot} of volume ${volume} is removed`,
      );
      context.output.record(result);
    });
}

function exportCommand(): Command {
  return withTarget(new Command("export"))
    .description(
      "Writes a volume as it is now, or a snapshot of it, as one tar with owners, links, holes and attributes; also without a daemon.",
    )
    .argument("<volume>", "as `bronze volume list` shows it", parseVolumeName)
    .requiredOption("-o, --output <file>", "where to; - is standard output")
    .option("--snapshot <name>", "a snapshot in place of what is there now", parseSnapshotName)
    .action(async (name: string, options: SnapshotOptions & { readonly output: string }) => {
      if (options.output === "-" && (process.stdout.isTTY || options.json === true))
        throw new OperatorError("USAGE", "Cannot write an archive to a terminal or among JSON", {
          hint: "name a file with -o, or redirect the output",
        });
      const context = createContext(options);
      const { output, signal } = context;
      const volume = await findVolume(context, options, name);
      const snapshot = options.snapshot ?? null;
      if (snapshot !== null && !volume.snapshots.some((one) => one.name === snapshot))
        throw new OperatorError(
          "NOT_FOUND",
          `Cannot find snapshot "${snapshot}" of volume ${formatVolume(volume.id)}`,
          {
            hint: `it has ${volume.snapshots.map((one) => one.name).join(", ") || "none"}`,
          },
        );
      const bytes = await exportVolume(volume, snapshot, { signal }, async ({ tar, aboutBytes, live }) => {
        if (live)
          output.note(
            `${output.paint.warn("warning:")} files are read one after the other here: what is written meanwhile may be from different moments; a snapshot is not`,
          );
        const stop = tellProgress(context, tar, aboutBytes);
        try {
          return await writeArchive(tar, options.output, signal);
        } finally {
          stop();
        }
      });
      if (options.output !== "-") output.line(options.output);
      output.record({ file: options.output, bytes, volume: name, snapshot });
    });
}

const progressMs = 2_000;

function tellProgress({ output }: Context, tar: NodeJS.ReadableStream, aboutBytes: number): () => void {
  let written = 0;
  tar.on("data", (piece: Buffer) => (written += piece.length));
  const timer = setInterval(
    () => output.note(output.paint.dim(`  ${formatBytes(written)} of about ${formatBytes(aboutBytes)}`)),
    progressMs,
  );
  return () => clearInterval(timer);
}

/** Straight from the disk, as archives of the store are: no bytes go through the daemon. */
async function findVolume(context: Context, options: TargetOptions, name: string): Promise<StoredVolume> {
  if (process.getuid?.() !== 0)
    throw new OperatorError("MACHINE_REFUSED", "Cannot read volumes: they belong to their apps' users", {
      hint: "run it as root",
    });
  const { app, environment } = await findTarget(context, options);
  const all = (await openVolumes(context).list()).filter(({ id }) => id.app === app && id.environment === environment);
  const found = all.find(({ id }) => id.name === name);
  if (found !== undefined) return found;
  throw new OperatorError("NOT_FOUND", `Cannot find volume "${name}" of ${app} in ${environment}`, {
    hint: all.length === 0 ? "it has no volumes" : `there are ${all.map(({ id }) => id.name).join(", ")}`,
  });
}

function openVolumes({ places }: Context): ReturnType<typeof createVolumeStore> {
  return createVolumeStore({ folder: volumeFolder(places), wall: () => Date.now() });
}

async function asked(context: Context, options: TargetOptions & { readonly why?: string }, from?: "named") {
  const target = await findTarget(context, options, from);
  // Volumes are there when everything is down.
  await ensureDaemon(context, {});
  return { ...target, who: whoAsks(), why: options.why ?? "" };
}

function named({ snapshot }: SnapshotOptions): { readonly snapshot?: string } {
  return snapshot === undefined ? {} : { snapshot };
}
