import type { EventData } from "../ledger/event.ts";
import { blockOf, blockText, shortName } from "../ledger/revocations.ts";
import type { RevokedRunning, RevokeRequest, RevokeResult } from "../model/api/trust.ts";
import type { Digest } from "../model/canonical.ts";
import type { Descent } from "../ports/verifier.ts";
import { becomesOf } from "../rollout/revoked.ts";
import { causeOf } from "./begin.ts";
import type { Controller } from "./controller.ts";

/**
 * Revokes an artifact or an image that artifacts are made from: from then on neither it nor what was made from it is released,
 * and what runs of it is told, and taken back where its environment wants that. With `undo` the opposite. When it resolves it
 * holds, whatever becomes of this process.
 */
export async function revoke(controller: Controller, request: RevokeRequest): Promise<RevokeResult> {
  const { ports, state, recorder } = controller;
  const { artifact, undo = false } = request;
  const cause = causeOf(request);
  const { revoked } = state.revocations;
  if (undo) {
    const changed = revoked.has(artifact);
    if (changed) recorder.append({ kind: "artifact.reinstated", artifact, cause });
    controller.tickAll();
    return { artifact, changed, blocked: [], running: [] };
  }
  const changed = !revoked.has(artifact);
  if (changed) {
    const blocked = await blockedReleases(controller, artifact);
    if (!revoked.has(artifact)) recorder.append({ kind: "artifact.revoked", artifact, cause }, ...blocked);
    controller.tickAll();
  }
  const blocked = await ports.verifier.descendants(artifact);
  return { artifact, changed, blocked, running: runningOf(controller, artifact) };
}

/** What of the ledger's artifacts was made from an image; those that come while it is looked for are looked at too. */
async function blockedReleases(controller: Controller, image: Digest): Promise<readonly EventData[]> {
  const looked = new Map<Digest, Descent | undefined>();
  for (;;) {
    const artifacts = releasedArtifacts(controller).filter((artifact) => artifact !== image && !looked.has(artifact));
    if (artifacts.length === 0) break;
    for (const artifact of artifacts) {
      const [descent] = await controller.ports.verifier.descents(artifact, [image]);
      looked.set(artifact, descent);
    }
  }
  return [...looked.values()].flatMap((descent) =>
    descent === undefined
      ? []
      : { kind: "artifact.blocked", artifact: descent.artifact, revoked: image, chain: descent.chain },
  );
}

function releasedArtifacts({ state }: Controller): readonly Digest[] {
  const all = [...state.environments.values()].flatMap(({ releases }) => [...releases.values()]);
  return [...new Set(all.map(({ content }) => content.artifact))];
}

/** What is live, or on its way, of what a revocation blocks, and what becomes of it. */
function runningOf({ state, fleet }: Controller, revoked: Digest): readonly RevokedRunning[] {
  return [...state.environments.values()].flatMap((record) => {
    const { app, environment } = record;
    return [...record.sets.values()].flatMap((set): RevokedRunning | [] => {
      const block = blockOf(record.revocations, set.content.artifact);
      const way = record.revocations.blocked.get(set.content.artifact)?.get(revoked);
      if (block === undefined || way === undefined) return [];
      const instances = fleet.all().filter((one) => one.set === set.name && one.phase === "running");
      const isLive = record.live?.set === set.name;
      if (instances.length === 0 && !isLive) return [];
      return {
        app,
        environment,
        release: isLive ? (record.live?.release ?? set.release) : set.release,
        live: isLive,
        artifact: set.content.artifact,
        reason: `artifact ${shortName(set.content.artifact)} ${blockText(block)}`,
        instances: instances.map(({ name }) => name),
        becomes: isLive ? becomesOf(record) : "it ends",
      };
    });
  });
}
