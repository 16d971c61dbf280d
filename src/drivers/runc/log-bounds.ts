/** How large instances' logs may get. */
export interface LogBounds {
  /** A log that has grown beyond this is rotated at the next look, a second later at most. */
  readonly rotateBytes: number;
  /** All rotated logs and those of removed instances together: the oldest go first. */
  readonly totalBytes: number;
}

const mebibyte = 2 ** 20;

/**
 * A tenth of the file system, at most 1 GiB, for what is kept; besides there are the running instances' own logs.
 *
 * @param diskBytes size of the file system that the logs are on
 */
export function logBounds(diskBytes: number): LogBounds {
  const totalBytes = Math.min(1024 * mebibyte, Math.floor(diskBytes / 10));
  const rotateBytes = Math.max(mebibyte / 4, Math.min(10 * mebibyte, Math.floor(totalBytes / 16)));
  return { rotateBytes, totalBytes };
}

export interface KeptLog {
  readonly path: string;
  readonly bytes: number;
  readonly changedMs: number;
}

/** Which logs go, so that the rest fits: oldest first. */
export function logsToRemove(kept: readonly KeptLog[], totalBytes: number): readonly string[] {
  const paths: string[] = [];
  let sum = kept.reduce((bytes, log) => bytes + log.bytes, 0);
  for (const { path, bytes } of kept.toSorted((a, b) => a.changedMs - b.changedMs)) {
    if (sum <= totalBytes) break;
    paths.push(path);
    sum -= bytes;
  }
  return paths;
}
