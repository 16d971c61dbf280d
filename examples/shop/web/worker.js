import { setTimeout as sleep } from "node:timers/promises";
import { database } from "./database.js";

const stopping = new AbortController();
process.on("SIGTERM", () => stopping.abort());

/** Takes one order and packs it; two workers never take the same. @returns whether there was one */
async function packNext() {
  const { rowCount } = await database.query(
    `UPDATE orders SET state = 'done', packed_by = $1
     WHERE id = (SELECT id FROM orders WHERE state = 'new' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)`,
    [process.env.BRONZE_INSTANCE],
  );
  return rowCount > 0;
}

while (!stopping.signal.aborted) {
  const packed = await packNext().catch((error) => {
    console.error(error.message);
    return false;
  });
  if (!packed) await sleep(200, undefined, { signal: stopping.signal }).catch(() => {});
}
await database.end();
