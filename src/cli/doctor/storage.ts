import type { StreamLine } from "../../model/api/asked.ts";
import type { StorageFinding, StorageReport } from "../../model/api/storage.ts";
import { formatBytes } from "../../model/quantities.ts";
import { OperatorError, fromErrorRecord } from "../../errors/operator-error.ts";
import { isUnreachable } from "../api-client.ts";
import type { Context } from "../context.ts";
import { whoAsks } from "../who.ts";
import { fail, ok, warn, type Finding } from "./finding.ts";

/** What is stored: by the daemon where one runs, else under the ledger's lock. */
export async function examineStorage(
  context: Context,
  mend: boolean,
  keepEvents: number | undefined,
): Promise<StorageReport> {
  const { client, output, places, signal } = context;
  const running = await client.get("/v1/ping", {}, signal).then(
    () => true,
    (error: unknown) => {
      if (isUnreachable(error)) return false;
      throw error;
    },
  );
  if (!running) {
    const { checkStorageOffline } = await import("../../daemon/storage-offline.ts");
    return checkStorageOffline({
      places,
      mend,
      keepEvents,
      who: whoAsks(),
      signal,
      progress: (text) => output.note(`  ${text}`),
    });
  }
  if (keepEvents !== undefined) {
    throw new OperatorError("USAGE", "Cannot drop events: the daemon runs, and its ledger holds", {
      hint: "leave --keep-events out; it is for a ledger that the daemon refuses to start with",
    });
  }
  for await (const line of client.stream<StreamLine<StorageReport>>(
    "POST",
    "/v1/storage",
    { body: { mend } },
    signal,
  )) {
    if (line.kind === "progress") output.note(`  ${line.text}`);
    else if (line.kind === "error") throw fromErrorRecord(line.error);
    else return line.result;
  }
  throw new OperatorError("DAEMON_UNREACHABLE", "Cannot finish: the daemon went away meanwhile", {
    hint: "run the command again",
  });
}

/** The report as findings of `doctor`, one line each. */
export function storageFindings(report: StorageReport): readonly Finding[] {
  const { files, bytes, events, findings } = report;
  const summary = `${events} events, ${files} blobs and images (${formatBytes(bytes)}) hashed again`;
  if (findings.length === 0) return [ok("storage", `${summary}: all as recorded`)];
  return [...(report.ok ? [ok("storage", summary)] : []), ...findings.map((finding) => asFinding(finding))];
}

function asFinding({ kind, subject, finding, repair, mended, advice }: StorageFinding): Finding {
  const found = `${subject}: ${finding}`;
  if (mended) return ok(kind, `${found}; mended: ${repair ?? ""}${advice === null ? "" : `; ${advice}`}`);
  const byRepair = repair === null ? undefined : `\`bronze doctor --repair\` will ${repair}`;
  const next = [byRepair, advice ?? undefined].filter((part) => part !== undefined).join("; ");
  return kind === "leftover" ? warn(kind, found, next) : fail(kind, found, next);
}
