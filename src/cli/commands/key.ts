import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import { readCheckpoints } from "../../drivers/checkpoints/file.ts";
import { gatherRuns } from "../../ledger/checkpoint-runs.ts";
import { createLocalStore } from "../../store/local.ts";
import type { KeyLog, LoggedKey } from "../../trust/key-log.ts";
import { listedIn } from "../../trust/standing.ts";
import { counted, renderKeys } from "../../render/keys.ts";
import type { Keyring, Standing } from "../../drivers/keys/keyring.ts";
import { createContext, withShared, type Context, type SharedOptions } from "../context.ts";
import { keyLogPath, openKeyring } from "../keyring.ts";
import { standingStatements } from "../standing-statements.ts";

export function keyCommand(): Command {
  return new Command("key")
    .description("The key that signs what this machine builds, those before it, and the signed log of them.")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(rotateCommand())
    .addCommand(revokeCommand())
    .addCommand(exportCommand());
}

interface ValidOptions extends SharedOptions {
  readonly valid?: number;
}

function withValid(command: Command): Command {
  return withShared(command).option(
    "--valid <days>",
    "how long its signatures are believed (default: for ever)",
    parseDaysMs,
  );
}

function createCommand(): Command {
  return withValid(new Command("create"))
    .description("Makes the first key. Where there is none, the first build makes one by itself.")
    .action(async (options: ValidOptions) => {
      const context = createContext(options);
      tell(context, await openKeyring(context).create({ validMs: options.valid ?? null }), "signs from now on");
    });
}

function listCommand(): Command {
  return withShared(new Command("list"))
    .description("Shows all keys and what became of them, after the log of them was verified.")
    .action(async (options: SharedOptions) => {
      const context = createContext(options);
      const { log, standing } = await openKeyring(context).trust();
      const counts = new Map([...standing].map(([digest, list]) => [digest, listedIn(list).length]));
      for (const line of renderKeys(log, counts)) context.output.line(line);
      context.output.record({ head: log.head, keys: log.keys.map(recordOf) });
    });
}

function rotateCommand(): Command {
  return withValid(new Command("rotate"))
    .description(
      "Makes a new key that signs from now on, and destroys the private half of the one before. What that one signed is believed as before.",
    )
    .action(async (options: ValidOptions) => {
      const context = createContext(options);
      const keyring = openKeyring(context);
      const made = await keyring.rotate({
        validMs: options.valid ?? null,
        stands: whatIsHere(context, keyring, "rotated"),
      });
      tell(context, made, "signs from now on");
    });
}

interface RevokeOptions extends SharedOptions {
  readonly reason?: string;
  readonly nothingStands?: boolean;
}

function revokeCommand(): Command {
  return withShared(new Command("revoke"))
    .description(
      "Ends a key that others may have. What it signed and this machine has now is believed further, what turns up later is not. When it is the key that signs, a new one takes its place.",
    )
    .argument("<key>", "as `bronze key list` shows it")
    .option("--reason <text>", "why; it stands in the log, and in what is said of what is refused")
    .option("--nothing-stands", "believe nothing that it signed: everything has to be built again")
    .action(async (text: string, options: RevokeOptions) => {
      const context = createContext(options);
      const keyring = openKeyring(context);
      const { id } = findKey((await keyring.trust()).log, text);
      const revoked = await keyring.revoke(id, {
        reason: options.reason ?? "",
        stands: options.nothingStands === true ? async () => [] : whatIsHere(context, keyring, "revoked"),
      });
      const trust = await keyring.trust();
      const list = revoked.stands === null ? undefined : trust.standing.get(revoked.stands);
      const count = list === undefined ? 0 : listedIn(list).length;
      context.output.line(`revoked ${revoked.id}: of what it signed, ${counted(count)}`);
      if (trust.log.active !== null) context.output.line(`${trust.log.active.id} signs`);
      context.output.record({ ...recordOf(revoked), standing: count, active: trust.log.active?.id ?? null });
    });
}

function exportCommand(): Command {
  return withShared(new Command("export"))
    .description("Prints a public key in PEM, as cosign and openssl take it; or the signed log of all keys.")
    .argument("[key]", "as `bronze key list` shows it (default: the one that signs)")
    .option("--log", "print the log")
    .action(async (text: string | undefined, options: SharedOptions & { readonly log?: boolean }) => {
      const context = createContext(options);
      const { log } = await openKeyring(context).trust();
      if (options.log === true) {
        const lines = log.active === null ? "" : await readFile(keyLogPath(context), "utf8");
        context.output.line(lines.trimEnd());
        context.output.record({ head: log.head, log: lines });
        return;
      }
      const key = findKey(log, text);
      context.output.line(key.publicKey.trimEnd());
      context.output.record(recordOf(key));
    });
}

/** @param text an id or its first characters; absent: the key that signs */
function findKey({ keys, active }: KeyLog, text: string | undefined): LoggedKey {
  const found =
    text === undefined ? [active].filter((key) => key !== null) : keys.filter(({ id }) => id.startsWith(text));
  const [only, second] = /^[0-9a-f]{6,64}$/.test(text ?? "000000") ? found : [];
  if (only !== undefined && second === undefined) return only;
  const which =
    text === undefined
      ? "the key that signs: there is none yet"
      : `key "${text.slice(0, 80)}": no key, or several, begin so`;
  throw new OperatorError("NOT_FOUND", `Cannot find ${which}`, {
    hint: "`bronze key list` shows all; six characters or more name one",
  });
}

/**
 * What the store has of a key's statements stands, and so do the checkpoints of the ledger that are kept.
 *
 * @param how `rotated`: nobody else has the key, so that its window ended unnoticed takes nothing from what is here
 */
function whatIsHere(context: Context, keyring: Keyring, how: "rotated" | "revoked"): Standing {
  const store = createLocalStore(join(context.places.state, "store"));
  return async (key) => {
    const trust = await keyring.trust();
    const notAfter = how === "rotated" ? trust.log.keys.find(({ id }) => id === key)?.notAfter : null;
    const atMs = Math.min(Date.now(), Date.parse(notAfter ?? "9999-01-01") - 1);
    const inStore = await standingStatements(store, trust, key, atMs);
    const { runs } = gatherRuns(await readCheckpoints(context.places.state), trust, atMs);
    const checkpoints = runs.flatMap((run) => run.checkpoints.filter((one) => one.key === key));
    return [...inStore, ...checkpoints.map(({ statement }) => statement)];
  };
}

function tell(context: Context, key: LoggedKey, what: string): void {
  context.output.line(`${key.id} ${what}${key.notAfter === null ? "" : `, until ${key.notAfter}`}`);
  context.output.record(recordOf(key));
}

function recordOf({ key: _, ...rest }: LoggedKey): Omit<LoggedKey, "key"> {
  return rest;
}

const msPerDay = 86_400_000;
const mostDays = 36_500;

function parseDaysMs(text: string): number {
  const days = /^([1-9][0-9]{0,4})d?$/.exec(text)?.[1];
  if (days !== undefined && Number(days) <= mostDays) return Number(days) * msPerDay;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a number of days`, {
    hint: `write a whole number of days, at most ${mostDays}: 365`,
  });
}
