import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import { attest } from "../../store/attestations.ts";
import {
  asObject,
  isPredicateType,
  mostStatementBytes,
  parseJson,
  serialiseStatement,
  signatureOf,
  type Statement,
} from "../../trust/statement.ts";
import { openStore } from "../local-store.ts";
import { readAtMost } from "../bounded-file.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { openKeyring } from "../keyring.ts";
import { findImage } from "../store-image.ts";

interface AttestOptions extends SharedOptions {
  readonly type?: string;
  readonly predicate?: string;
}

export function attestCommand(): Command {
  return withShared(new Command("attest"))
    .description(
      "Signs a statement about an artifact with this machine's key and keeps it beside the artifact, as cosign does; `bronze push` and `bronze save` take it along. Without --type and --predicate the artifact itself: that you stand for it.",
    )
    .argument("<artifact>", "digest or name in the store")
    .option("--type <uri>", "what kind of statement it is: https://in-toto.io/attestation/vulns/v0.2", parseKind)
    .option("--predicate <file>", "what is said: a file with one JSON object")
    .action(async (artifact: string, options: AttestOptions) => {
      const context = createContext(options);
      const store = openStore(context);
      const subject = await findImage(context, store, artifact, "attest artifact");
      const statement = await statementOf(subject, options, context.signal);
      const manifest = await attest(store, openKeyring(context), statement);
      context.output.line(manifest);
      context.output.record({ artifact: subject, predicateType: statement.predicateType, manifest });
    });
}

/** @throws {OperatorError} `USAGE` when only one of kind and predicate is given */
async function statementOf(
  subject: Digest,
  { type, predicate }: AttestOptions,
  signal: AbortSignal,
): Promise<Statement> {
  if (type === undefined && predicate === undefined) return signatureOf(subject);
  if (type === undefined || predicate === undefined)
    throw new OperatorError(
      "USAGE",
      `Cannot sign a statement: ${type === undefined ? "--type" : "--predicate"} is missing`,
      {
        hint: "give both, or neither to sign the artifact itself",
      },
    );
  const statement: Statement = { subject, predicateType: type, predicate: await readPredicate(predicate, signal) };
  checkForm(statement, predicate);
  return statement;
}

function parseKind(text: string): string {
  if (isPredicateType(text)) return text;
  throw new OperatorError(
    "ARGUMENT_INVALID",
    `Cannot use "${text.slice(0, 200)}" as a kind of statement: it is no URI`,
    {
      hint: "name its predicate type in full, like https://cyclonedx.org/bom",
    },
  );
}

/** Numbers that are none, halves of characters and what is nested too deeply have no canonical form. */
function checkForm(statement: Statement, path: string): void {
  try {
    serialiseStatement(statement);
  } catch (cause) {
    throw refused(path, "it holds what canonical JSON cannot carry", cause);
  }
}

function refused(path: string, state: string, cause?: unknown): OperatorError {
  return new OperatorError("ARGUMENT_INVALID", `Cannot use "${path}" as what is to be said: ${state}`, {
    hint: "name a file with one JSON object",
    ...(cause === undefined ? {} : { cause }),
  });
}

async function readPredicate(path: string, signal: AbortSignal): Promise<Statement["predicate"]> {
  const bytes = await readAtMost(path, mostStatementBytes, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw refused(path, "it cannot be read", cause);
  });
  if (bytes === undefined) throw refused(path, `it has more than ${mostStatementBytes} bytes`);
  const predicate = asObject(parseJson(bytes));
  if (predicate === undefined) throw refused(path, "it holds no JSON object");
  return predicate as Statement["predicate"];
}
