import type { Machine } from "../../ports/machine.ts";

const totalBytes = 8e9;
const availableBytes = 6e9;
const shortBytes = 1e8;

/** A machine with enough memory. @param isShort whether it has next to none available now; absent: never */
export function createMemoryFacts(isShort: () => boolean = () => false): Machine {
  return { memory: () => ({ totalBytes, availableBytes: isShort() ? shortBytes : availableBytes }) };
}
