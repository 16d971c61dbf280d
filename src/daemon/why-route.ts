import type { FastifyInstance } from "fastify";
import type { z } from "zod";
import { knownEnvironment, namedRelease } from "../controller/known.ts";
import type { Controller } from "../controller/controller.ts";
import { isReason } from "../ledger/reasons.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { WhyReport } from "../model/api/releases.ts";
import { ledgerPages } from "./ledger-pages.ts";
import { isAbout } from "./progress.ts";
import { oneEnvironmentSchema, parseWith } from "./schemas.ts";

/** Most of it that is told: a rolling rollout of many instances has as many steps. */
const mostEvents = 5_000;

/** The route of `bronze why`. */
export function addWhyRoute(app: FastifyInstance, { controller }: { readonly controller: Controller }): void {
  app.get("/v1/why", (request) => why(parseWith(oneEnvironmentSchema, request.query, "query")));

  async function why(query: z.output<typeof oneEnvironmentSchema>): Promise<WhyReport<LedgerEvent>> {
    const record = knownEnvironment(controller, query.app, query.environment);
    const { number } = namedRelease(record, query.release ?? record.lastRelease);
    const events: LedgerEvent[] = [];
    for await (const page of ledgerPages(controller.ports.journal)) {
      for (const event of page) {
        const belongs = isAbout(event, query) && isReason(event.data, number);
        if (belongs && events.length < mostEvents) events.push(event);
      }
    }
    return { app: record.app, environment: record.environment, release: number, events };
  }
}
