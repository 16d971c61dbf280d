import type * as Age from "age-encryption";

/** Loaded with the first secret: its curves take 12 MB and tens of milliseconds, which most daemons never need. */
export function loadAge(): Promise<typeof Age> {
  return import("age-encryption");
}
