/** What a disk says when it takes no (more) bytes: how it stands, and what helps. */
const troubles = {
  ENOSPC: { code: "DISK_FULL", state: "the disk is full", hint: "make room on that disk and run the command again" },
  EDQUOT: {
    code: "DISK_FULL",
    state: "the disk quota is used up",
    hint: "make room within the quota, or raise it, and run the command again",
  },
  EROFS: {
    code: "MACHINE_REFUSED",
    state: "the file system is read-only",
    hint: "the kernel makes it so after a disk error (`dmesg` tells): mend it, mount it writable and run the command again",
  },
  EIO: {
    code: "MACHINE_REFUSED",
    state: "the disk reports an input/output error",
    hint: "the disk may be failing (`dmesg` tells): mend or replace it and run the command again",
  },
} as const;

export type DiskTrouble = keyof typeof troubles;

/** The trouble that an error of the file system stands for, if it is one of a disk. */
export function diskTrouble(error: unknown): DiskTrouble | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && Object.hasOwn(troubles, code) ? (code as DiskTrouble) : undefined;
}

/**
 * Says that a disk took no bytes: where, how much is free, what to do. What runs goes on.
 *
 * @param action what could not be done, to follow "Cannot"
 * @param freeBytes what is free there; undefined where that is not known
 */
export function describeDiskTrouble(
  trouble: DiskTrouble,
  action: string,
  freeBytes: number | undefined,
): { readonly code: "DISK_FULL" | "MACHINE_REFUSED"; readonly message: string; readonly hint: string } {
  const { code, state, hint } = troubles[trouble];
  const free = freeBytes === undefined ? "" : ` (${formatFree(freeBytes)} free)`;
  return { code, message: `Cannot ${action}: ${state}${free}`, hint: `${hint}; what runs goes on` };
}

function formatFree(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 ** 2 ? `${Math.floor(bytes / 1024)} KiB` : `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
