import assert from "node:assert/strict";
import test from "node:test";
import type { Machine } from "./machine.ts";

/** What everybody does who tells facts about a machine. */
export function machineSuite(name: string, machine: Machine): void {
  test(`${name}: memory() tells whole bytes, and no more available than there are`, () => {
    const { totalBytes, availableBytes } = machine.memory();
    assert.ok(Number.isSafeInteger(totalBytes) && Number.isSafeInteger(availableBytes));
    assert.ok(availableBytes > 0 && availableBytes <= totalBytes, `${availableBytes} of ${totalBytes}`);
  });
}
