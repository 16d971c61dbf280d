import { readLedger } from "../../drivers/sqlite/read-ledger.ts";
import { fromErrorRecord, type ErrorRecord } from "../../errors/operator-error.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import type { Context } from "../context.ts";

/** All events of the ledger: from the daemon, which has its file open, or from the file where no daemon runs. */
export async function* ledgerEvents(
  { client, places, signal }: Context,
  isOffline: boolean,
): AsyncGenerator<LedgerEvent> {
  if (isOffline) {
    yield* readLedger(places.state);
    return;
  }
  const lines = client.stream<LedgerEvent | { readonly kind: "error"; readonly error: ErrorRecord }>(
    "GET",
    "/v1/ledger",
    {},
    signal,
  );
  for await (const line of lines) {
    if ("error" in line) throw fromErrorRecord(line.error);
    yield line;
  }
}
