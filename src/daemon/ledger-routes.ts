import type { FastifyInstance } from "fastify";
import type { CheckpointReport } from "../model/api/trust.ts";
import type { LedgerEvent } from "../ledger/event.ts";
import type { Journal } from "../ports/journal.ts";
import { ledgerPages } from "./ledger-pages.ts";
import { streamLines, streamWork } from "./stream.ts";

/** The ledger itself, for who verifies it, and checkpoints of it. */
export function addLedgerRoutes(
  app: FastifyInstance,
  { journal, checkpoint }: { readonly journal: Journal; readonly checkpoint: () => Promise<CheckpointReport> },
): void {
  app.get("/v1/ledger", async (_request, reply) => {
    await streamLines(reply, (signal) => allEvents(journal, signal));
  });
  app.post("/v1/checkpoint", async (_request, reply) => {
    await streamWork(reply, checkpoint);
  });
}

async function* allEvents(journal: Journal, signal: AbortSignal): AsyncGenerator<LedgerEvent> {
  for await (const page of ledgerPages(journal)) {
    if (signal.aborted) return;
    yield* page;
  }
}
