import { statSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { fromErrorRecord, OperatorError } from "../../errors/operator-error.ts";
import { verifyChain, chainStart, type ChainHead } from "../../ledger/chain.ts";
import { fingerprint, readEntry, serialiseEntry } from "../../ledger/checkpoint.ts";
import type { LedgerEvent } from "../../ledger/event.ts";
import type { StreamLine } from "../../model/api/asked.ts";
import type { AuditReport, CheckpointReport } from "../../model/api/trust.ts";
import { shortKey } from "../../trust/key-log.ts";
import { ConnectionLost } from "../api-client.ts";
import { checkpointsOf, holdAgainst, keptCheckpoints, type Held, type HeldResult } from "../audit/against.ts";
import { ledgerEvents } from "../audit/events.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { pingDaemon } from "../daemon-start.ts";
import { writeDurably } from "../durable.ts";
import { openKeyring } from "../keyring.ts";

export function auditCommand(): Command {
  return new Command("audit")
    .description("Verifies the ledger, and signs what it is.")
    .addCommand(verifyCommand())
    .addCommand(checkpointCommand());
}

interface VerifyOptions extends SharedOptions {
  readonly against?: string;
}

function verifyCommand(): Command {
  return withShared(new Command("verify"))
    .description(
      "Recomputes the ledger's hash chain, compares what is derived from it, and holds it against all that was signed of it; exit 7, naming the first event that is not as it was, when anything does not hold.",
    )
    .option("--against <file>", "also against a checkpoint that `bronze audit checkpoint` wrote, kept elsewhere")
    .action(async (options: VerifyOptions) => {
      const context = createContext(options);
      const { output } = context;
      const held = await signedOf(context, options.against);
      const isOffline = (await pingDaemon(context)) === undefined;
      const report = isOffline ? null : await context.client.get<AuditReport>("/v1/audit", {}, context.signal);
      const chain = new ChainReader();
      const results = await holdAgainst(chain.read(ledgerEvents(context, isOffline)), held);
      refuseDamage(report?.damage ?? chain.damage, results);
      if (report !== null && !report.projectionsEqual) throw projectionsDiffer(report);
      const { seq, hash } = chain.head;
      output.line(
        `${output.paint.good("ok:")} ${report?.events ?? seq} events, unbroken chain, ${report === null ? "read from disk, since no daemon runs" : "projections equal a fresh fold"}`,
      );
      output.line(`head ${report?.head ?? hash}`);
      for (const line of results.map(renderHeld)) output.line(line);
      const facts = report ?? { events: seq, head: hash, ok: true, damage: null, projectionsEqual: null };
      output.record({ ...facts, checkpoints: results.map(recordOf) });
    });
}

/** What was signed of the ledger, as far as who asks may see it. */
async function signedOf(context: Context, path: string | undefined): Promise<readonly Held[]> {
  const { output, places } = context;
  // The keys' log is root's.
  if (process.getuid?.() !== 0 && path === undefined) {
    output.note("not root: the checkpoints that are kept here were not looked at");
    return [];
  }
  const keyring = openKeyring(context);
  const { held, problems } = await keptCheckpoints(places.state, keyring);
  for (const problem of new Set(problems))
    output.note(`${output.paint.warn("warning:")} a checkpoint that is kept here is not believed: ${problem}`);
  return [...(path === undefined ? [] : await checkpointsOf(resolve(path), keyring)), ...held];
}

/** Verifies the chain of what passes by. */
class ChainReader {
  head: ChainHead = chainStart;
  damage: AuditReport["damage"] = null;

  async *read(events: AsyncIterable<LedgerEvent>): AsyncGenerator<LedgerEvent> {
    for await (const event of events) {
      if (this.damage === null) {
        const { head, damage } = verifyChain([event], this.head);
        this.head = head;
        this.damage = damage;
      }
      yield event;
    }
  }
}

/** @throws {OperatorError} `LEDGER_DAMAGED` naming the first event that does not hold, by the chain or by what was signed */
function refuseDamage(damage: AuditReport["damage"], results: readonly HeldResult[]): void {
  const found = results
    // What a person had cut off is missing from what the daemon signed before, and the ledger says so.
    .filter(({ path, mismatch }) => mismatch !== null && !(path === null && mismatch.isSalvage))
    .map(({ path, run, mismatch }) => ({
      seq: mismatch?.seq ?? 0,
      finding: `${mismatch?.finding ?? ""}, by the checkpoint of ${run.checkpoints.at(-1)?.at ?? ""} ${path === null ? "that is kept here" : `in "${path}"`}`,
    }))
    .sort((a, b) => a.seq - b.seq);
  const [first] = found;
  const worst = first !== undefined && (damage === null || first.seq <= damage.seq) ? first : damage;
  if (worst === null) return;
  throw new OperatorError("LEDGER_DAMAGED", `Cannot vouch for the ledger: event ${worst.seq}: ${worst.finding}`, {
    hint: "restore the state folder's ledger from a backup; nothing from that event on can be relied on",
    details: { ok: false, damage: { seq: worst.seq, finding: worst.finding }, checkpoints: results.map(recordOf) },
  });
}

function projectionsDiffer(report: AuditReport): OperatorError {
  return new OperatorError(
    "LEDGER_DAMAGED",
    "Cannot vouch for the ledger: the projections differ from a fresh fold of the events",
    { hint: "restart the daemon, which folds anew; then verify again", details: report },
  );
}

function renderHeld({ path, run, mismatch }: HeldResult): string {
  const { checkpoints } = run;
  const last = checkpoints.at(-1);
  const many = checkpoints.length === 1 ? "the checkpoint" : `${checkpoints.length} checkpoints, the last`;
  const where = path === null ? "kept here" : `in "${path}"`;
  return mismatch === null
    ? `as signed: ${many} ${where}, of ${last?.at ?? ""}, event ${last?.sequence ?? 0}`
    : `cut at event ${mismatch.seq}, which the ledger says: ${many} ${where}, of ${last?.at ?? ""}`;
}

function recordOf({ path, run, mismatch }: HeldResult): object {
  const last = run.checkpoints.at(-1);
  return {
    path,
    checkpoints: run.checkpoints.length,
    at: last?.at,
    sequence: last?.sequence,
    head: last?.head,
    mismatch,
  };
}

interface CheckpointCommandOptions extends SharedOptions {
  readonly output?: string;
}

function checkpointCommand(): Command {
  return withShared(new Command("checkpoint"))
    .description(
      "Signs what the ledger is now, as the daemon does every hour and after each release, and writes it to a file that proves later that nothing before it was removed, changed or moved.",
    )
    .option("--output <file>", "where to write it, - for standard output; keep it on another machine")
    .action(async (options: CheckpointCommandOptions) => {
      const context = createContext(options);
      const { output } = context;
      checkPlace(options.output);
      const report = await makeCheckpoint(context);
      const { sequence, head, at, key, isNew } = report;
      const said = `${isNew ? "signed" : "signed before, and nothing happened since:"} event ${sequence}, ${head}, at ${at} by ${shortKey(key)}`;
      const whole = options.output === undefined ? undefined : await wholeEntry(context, report);
      if (options.output === "-") {
        output.note(said);
        output.line(whole ?? "");
      } else {
        output.line(said);
        if (options.output !== undefined) {
          writeDurably(resolve(options.output), `${whole}\n`);
          output.line(`written to ${options.output}`);
        }
      }
      const entry = options.output === "-" && whole !== undefined ? { entry: JSON.parse(whole) as object } : {};
      output.record({ sequence, head, at, key, isNew, output: options.output ?? null, ...entry });
    });
}

/** What is there is replaced as a whole, which only a file can be. @throws {OperatorError} `ARGUMENT_INVALID` */
function checkPlace(path: string | undefined): void {
  if (path === undefined || path === "-") return;
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false)
    throw new OperatorError("ARGUMENT_INVALID", `Cannot write the checkpoint to "${path}": it is no file`, {
      hint: "name a file, or - for standard output",
    });
}

async function makeCheckpoint({ client, signal }: Context): Promise<CheckpointReport> {
  for await (const line of client.stream<StreamLine<CheckpointReport>>("POST", "/v1/checkpoint", {}, signal)) {
    if (line.kind === "result") return line.result;
    if (line.kind === "error") throw fromErrorRecord(line.error);
  }
  throw new ConnectionLost(true);
}

/** The checkpoint with the fingerprints of all events, so that the file by itself names what was altered later. */
async function wholeEntry(context: Context, { entry: line, sequence }: CheckpointReport): Promise<string> {
  const entry = readEntry(line);
  if (typeof entry === "string") throw new Error(`the daemon's checkpoint cannot be read: ${entry}`);
  const prints: Buffer[] = [];
  for await (const event of ledgerEvents(context, false)) {
    if (event.seq > sequence) break;
    prints.push(fingerprint(event));
  }
  return serialiseEntry({ bundle: entry.bundle, after: 0, fingerprints: Buffer.concat(prints) });
}
