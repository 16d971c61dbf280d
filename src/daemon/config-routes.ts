import type { FastifyInstance } from "fastify";
import { changeConfig, configReport } from "../controller/config.ts";
import type { Controller } from "../controller/controller.ts";
import { knownEnvironment } from "../controller/known.ts";
import type { Ping } from "../model/api/asked.ts";
import type { ConfigReport, ConfigRequest, DeployResult } from "../model/api/releases.ts";
import { deployResult } from "./deploy-result.ts";
import { withProgress } from "./progress.ts";
import { configSchema, oneEnvironmentSchema, parseWith } from "./schemas.ts";
import { streamWork } from "./stream.ts";

/** The routes about config. */
export function addConfigRoutes(
  app: FastifyInstance,
  { controller, ping }: { readonly controller: Controller; readonly ping: () => Ping },
): void {
  app.post("/v1/config", async (request, reply) => {
    const body = parseWith(configSchema, request.body, "config request") as ConfigRequest;
    await streamWork(reply, (progress) =>
      withProgress(controller, body, progress, async (): Promise<DeployResult | null> => {
        const outcome = await changeConfig(controller, body);
        return outcome === null ? null : deployResult(outcome, ping().url);
      }),
    );
  });
  app.get("/v1/config", (request): ConfigReport => {
    const query = parseWith(oneEnvironmentSchema, request.query, "query");
    return configReport(knownEnvironment(controller, query.app, query.environment));
  });
}
