import { existsSync } from "node:fs";
import type { LedgerEvent } from "../../ledger/event.ts";
import { restoreLog } from "./kept-log.ts";
import { ledgerPath, openLedger, readRows } from "./ledger-file.ts";

/**
 * All events of a ledger that no daemon has, as they are stored; nothing is verified and nothing is changed.
 *
 * @throws {OperatorError} `LOCKED`, `LEDGER_DAMAGED` when it cannot be read
 */
export function* readLedger(stateDir: string): Generator<LedgerEvent> {
  const file = ledgerPath(stateDir);
  if (!existsSync(file)) return;
  restoreLog(file);
  const { connection, select } = openLedger(file, stateDir, false);
  try {
    yield* readRows(select, 0);
  } finally {
    connection.close();
    restoreLog(file);
  }
}
