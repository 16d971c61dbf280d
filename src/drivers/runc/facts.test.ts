import assert from "node:assert/strict";
import test from "node:test";
import { parseListening } from "./facts.ts";

test("parseListening() gives addresses and ports of listening sockets only", () => {
  const four =
    "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 00000000:0050 00000000:0000 0A 0\n   2: 0200000A:0050 0300000A:1234 01 0\n";
  assert.deepEqual(parseListening(four), [
    { address: "127.0.0.1", port: 8080 },
    { address: "0.0.0.0", port: 80 },
  ]);
  const six =
    "  sl\n   0: 00000000000000000000000000000000:0BB8 0:0 0A\n   1: 00000000000000000000000001000000:0BB9 0:0 0A\n";
  assert.deepEqual(parseListening(six), [
    { address: "::", port: 3000 },
    { address: "::1", port: 3001 },
  ]);
  for (const local of ["\0FFFF:0050", "0100007F", "0100007F:", ":0050", "0100007F0:0050"])
    assert.deepEqual(parseListening(`  sl\n   0: ${local} 0:0 0A\n`), []);
});
