import type { FastifyInstance } from "fastify";
import type { Controller } from "../controller/controller.ts";
import { removeVolume, restoreVolume, snapshotVolume, volumeRows } from "../controller/volumes.ts";
import type {
  VolumeRemoveRequest,
  VolumeRestoreRequest,
  VolumeResult,
  VolumeRow,
  VolumeSnapshotRequest,
} from "../model/api/volumes.ts";
import { withProgress, type Filter } from "./progress.ts";
import { parseWith, querySchema, volumeRemoveSchema, volumeRestoreSchema, volumeSnapshotSchema } from "./schemas.ts";
import { streamWork } from "./stream.ts";

/** The routes about volumes. */
export function addVolumeRoutes(app: FastifyInstance, { controller }: { readonly controller: Controller }): void {
  const change = <Body extends Filter>(
    action: string,
    parse: (body: unknown) => Body,
    work: (controller: Controller, body: Body, progress: (text: string) => void) => Promise<VolumeResult>,
  ): void => {
    app.post(`/v1/volume/${action}`, async (request, reply) => {
      const body = parse(request.body);
      await streamWork(reply, (progress) =>
        withProgress(controller, body, progress, () =>
          work(controller, body, (text) => progress({ atMs: controller.ports.clock.wall(), step: "volume", text })),
        ),
      );
    });
  };
  change(
    "snapshot",
    (body) => parseWith(volumeSnapshotSchema, body, "snapshot") as VolumeSnapshotRequest,
    snapshotVolume,
  );
  change(
    "restore",
    (body) => parseWith(volumeRestoreSchema, body, "restoration") as VolumeRestoreRequest,
    restoreVolume,
  );
  change("remove", (body) => parseWith(volumeRemoveSchema, body, "removal") as VolumeRemoveRequest, removeVolume);
  app.get("/v1/volumes", (request): Promise<readonly VolumeRow[]> =>
    volumeRows(controller, parseWith(querySchema, request.query, "query")),
  );
}
