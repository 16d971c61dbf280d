/** Loaded with the first secret: its curves take 12 MB and tens of milliseconds, which most daemons never need. */
export function loadAge(): Promise<typeof import("age-encryption")> {
  return import("age-encryption");
}
