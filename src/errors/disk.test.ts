import assert from "node:assert/strict";
import test from "node:test";
import { asOperatorError } from "./operator-error.ts";

for (const [code, is, says] of [
  ["ENOSPC", "DISK_FULL", /the disk is full/],
  ["EDQUOT", "DISK_FULL", /the disk quota is used up/],
  ["EROFS", "MACHINE_REFUSED", /the file system is read-only/],
  ["EIO", "MACHINE_REFUSED", /input\/output error/],
] as const) {
  test(`asOperatorError() makes ${code} an error that names the file, exit 11`, () => {
    const error = asOperatorError(Object.assign(new Error(`${code}: x`), { code, path: "/var/lib/bronze/x" }));
    assert.deepEqual([error.code, error.exitStatus], [is, 11]);
    assert.match(error.message, says);
    assert.match(error.message, /"\/var\/lib\/bronze\/x"/);
    assert.match(error.hint, /what runs goes on/);
  });
}
