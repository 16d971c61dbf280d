import { InvalidArgumentError } from "commander";

/** A whole number from 1 to 10,000 out of an option. */
export function parseCount(text: string): number {
  if (/^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 10_000) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1 to 10000.");
}
