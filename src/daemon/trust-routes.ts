import type { FastifyInstance } from "fastify";
import { revoke } from "../controller/revoke.ts";
import { blockOf } from "../ledger/revocations.ts";
import type { LedgerState } from "../ledger/state.ts";
import type { RevokedRow, RevokeRequest } from "../model/api/trust.ts";
import type { Digest } from "../model/canonical.ts";
import { parseWith, revokeSchema } from "./schemas.ts";
import type { ServerOptions } from "./server.ts";
import { streamWork } from "./stream.ts";

/** What is revoked, and whoever revokes. */
export function addTrustRoutes(app: FastifyInstance, { controller }: Pick<ServerOptions, "controller">): void {
  app.post("/v1/revoke", async (request, reply) => {
    const body = parseWith(revokeSchema, request.body, "revoke request") as RevokeRequest;
    await streamWork(reply, () => revoke(controller, body));
  });
  app.get("/v1/revoked", (): readonly RevokedRow[] =>
    [...controller.state.revocations.revoked].map(([artifact, revocation]) => ({
      artifact,
      ...revocation,
      releases: releasesBlocked(controller.state, artifact),
    })),
  );
}

function releasesBlocked({ environments, revocations }: LedgerState, revoked: Digest): readonly string[] {
  return [...environments.values()].flatMap(({ app, environment, releases }) =>
    [...releases.values()]
      .filter(({ content }) => blockOf(revocations, content.artifact) !== undefined)
      .filter(({ content }) => revocations.blocked.get(content.artifact)?.has(revoked) === true)
      .map(({ number }) => `${app} ${environment} v${number}`),
  );
}
