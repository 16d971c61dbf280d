import { Command } from "commander";
import type {
  SecretResult,
  SecretRevokeRequest,
  SecretSetRequest,
  SecretsLock,
  SecretsReport,
} from "../../model/api/secrets.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { parseReleaseNumber } from "../../model/names.ts";
import { parseSecretName, valueAsArgument, type SecretName } from "../../model/secret.ts";
import { renderSecrets } from "../../render/secrets.ts";
import {
  createContext,
  withShared,
  withTarget,
  type Context,
  type SharedOptions,
  type TargetOptions,
} from "../context.ts";
import { ensureDaemon, type HttpOptions } from "../daemon-start.ts";
import { followDone, followRelease } from "../follow.ts";
import { findKnownTarget, findTarget, type Target } from "../project.ts";
import { releaseGoesOn, printRelease, withReleaseOptions, type ReleaseOptions } from "../release.ts";
import { readSecretInput } from "../secret-input.ts";
import { whoAsks } from "../who.ts";
import { withHttp } from "./serve.ts";

interface ValueOptions extends ReleaseOptions, HttpOptions {
  readonly from?: string;
}

export function secretCommand(): Command {
  return new Command("secret")
    .description("Keeps what instances must know and nobody else: encrypted, by version, never shown.")
    .addCommand(valueCommand("set"))
    .addCommand(valueCommand("rotate"))
    .addCommand(revokeCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand())
    .addCommand(unlockCommand())
    .addCommand(protectCommand());
}

const valueTexts = {
  set: "Gives a secret its first value, read from standard input or a file; what is live does not change.",
  rotate:
    "Gives a secret a new value as a new version, and what is live a release with it. The old version stays for a rollback.",
} as const;

function valueCommand(name: keyof typeof valueTexts): Command {
  const command = withTarget(new Command(name));
  return (
    // The first secret comes before the first deploy, and may be what starts the daemon.
    (name === "set" ? withHttp(command.option("-m, --why <text>", "why, for the record")) : withReleaseOptions(command))
      .description(valueTexts[name])
      .argument("<name>", "as the definition lists it", parseSecretName)
      .option("--from <file>", "read the value from a file (default: standard input)")
      // What stands too much is most likely the value: it is refused without being repeated.
      .allowExcessArguments(true)
      .action(async (secret: SecretName, options: ValueOptions, { args }: Command) => {
        if (args.length > 1) throw valueAsArgument(secret);
        const context = createContext(options, releaseGoesOn);
        const value = await readSecretInput(`the value of ${secret}`, options.from, context.signal);
        if (name === "set") await ensureDaemon(context, options);
        const target = await findKnownTarget(context, options);
        const body: SecretSetRequest = {
          ...asked(target, options),
          name: secret,
          value: value.toString("base64"),
          rotate: name === "rotate",
        };
        const result = await followChange(context, "/v1/secret/set", body);
        const version = `${secret} v${result.version}`;
        const what = result.changed ? `${version} is kept` : `${version} has this value already`;
        await tell(context, target, result, options, `${what} for ${target.app} ${target.environment}`);
      })
  );
}

function revokeCommand(): Command {
  return withReleaseOptions(withTarget(new Command("revoke")))
    .description(
      "Ends a version: what names it takes the current one, what is live by a release, what is kept warm by new instances.",
    )
    .argument("<name>", "as `bronze secret list` shows it", parseSecretName)
    .argument("[version]", "v1, v2, …; without one all but the current", parseVersion)
    .action(async (secret: SecretName, version: number | undefined, options: ReleaseOptions) => {
      const context = createContext(options, releaseGoesOn);
      const target = await findTarget(context, options);
      const body: SecretRevokeRequest = {
        ...asked(target, options),
        name: secret,
        ...(version === undefined ? {} : { version }),
      };
      const result = await followChange(context, "/v1/secret/revoke", body);
      const which =
        version === undefined ? `every version of ${secret} but v${result.version}` : `${secret} v${version}`;
      await tell(context, target, result, options, `${which} is revoked${result.changed ? "" : " already"}`);
    });
}

function removeCommand(): Command {
  return withTarget(new Command("remove"))
    .description("Ends a secret with all its versions. Releases that need it for a rollback are named first.")
    .argument("<name>", "as `bronze secret list` shows it", parseSecretName)
    .option("--yes", "also where a rollback needs it")
    .option("-m, --why <text>", "why, for the record")
    .action(async (secret: SecretName, options: TargetOptions & { readonly yes?: boolean; readonly why?: string }) => {
      const context = createContext(options, releaseGoesOn);
      const target = await findTarget(context, options, "named");
      const body = { ...asked(target, options), name: secret, yes: options.yes === true };
      const result = await followDone<SecretResult>(context, "/v1/secret/remove", body);
      context.output.line(`${secret} of ${target.app} ${target.environment} is removed`);
      context.output.record({ ...target, ...result });
    });
}

function listCommand(): Command {
  return withTarget(new Command("list"))
    .description("Shows names and versions, who gave them and which releases see them; never a value.")
    .action(async (options: TargetOptions) => {
      const context = createContext(options);
      const target = await findTarget(context, options);
      const report = await context.client.get<SecretsReport>("/v1/secrets", { ...target }, context.signal);
      for (const line of renderSecrets(report, Date.now())) context.output.line(line);
      context.output.record(report);
    });
}

function unlockCommand(): Command {
  return withShared(new Command("unlock"))
    .description("Gives the daemon the passphrase of the secrets' key, from standard input; once after each start.")
    .option("--from <file>", "read the passphrase from a file (default: standard input)")
    .action(async (options: SharedOptions & { readonly from?: string }) => {
      const context = createContext(options);
      const passphrase = await readPassphrase(context, "the passphrase", options.from);
      const lock = await followLock(context, "/v1/secret/unlock", passphrase);
      context.output.line("secrets are unlocked, until the daemon ends");
      context.output.record(lock);
    });
}

function protectCommand(): Command {
  return withHttp(withShared(new Command("protect")))
    .description("Encrypts the secrets' key with a passphrase, which the daemon then needs after each start.")
    .option("--from <file>", "read the new passphrase from a file (default: standard input)")
    .option("--none", "no passphrase any more: the key file alone reads the secrets")
    .action(async (options: SharedOptions & HttpOptions & { readonly from?: string; readonly none?: boolean }) => {
      const context = createContext(options);
      const passphrase =
        options.none === true ? null : await readPassphrase(context, "the new passphrase", options.from);
      // It may come before everything else.
      await ensureDaemon(context, options);
      const lock = await followLock(context, "/v1/secret/protect", passphrase);
      context.output.line(
        passphrase === null
          ? "secrets need no passphrase any more"
          : "secrets are protected: after each start of the daemon run `bronze secret unlock`",
      );
      context.output.record(lock);
    });
}

/** A daemon that went away meanwhile tells only of the release; which version that has, the list tells. */
async function followChange(
  context: Context,
  path: "/v1/secret/set" | "/v1/secret/revoke",
  body: SecretSetRequest | SecretRevokeRequest,
): Promise<SecretResult> {
  const result = await followRelease<SecretResult>(context, path, body);
  if (!("created" in result)) return result;
  const { app, environment, name } = body;
  const report = await context.client.get<SecretsReport>("/v1/secrets", { app, environment }, context.signal);
  const version = report.secrets.find((one) => one.name === name)?.current ?? null;
  return { name, version, changed: true, release: result };
}

async function followLock(context: Context, path: string, passphrase: string | null): Promise<SecretsLock> {
  return followDone<SecretsLock>(context, path, { passphrase });
}

async function readPassphrase(context: Context, what: string, from: string | undefined): Promise<string> {
  const value = (await readSecretInput(what, from, context.signal)).toString("utf8");
  if (value.length <= mostPassphrase && value.isWellFormed() && !value.includes("\0")) return value;
  throw new OperatorError(
    "ARGUMENT_INVALID",
    `Cannot use ${what}: it is no text of at most ${mostPassphrase} characters`,
    {
      hint: "take one line of words",
    },
  );
}

const mostPassphrase = 1_000;

async function tell(
  context: Context,
  target: Target,
  { release, ...result }: SecretResult,
  options: ReleaseOptions,
  text: string,
): Promise<void> {
  context.output.line(text);
  const record = (value: unknown): void => context.output.record({ ...target, ...result, release: value });
  if (release === null) record(null);
  else await printRelease({ ...context, output: { ...context.output, record } }, target, release, options);
}

function asked(
  target: Target,
  options: { readonly why?: string },
): Target & { readonly who: string; readonly why: string } {
  return { ...target, who: whoAsks(), why: options.why ?? "" };
}

function parseVersion(text: string): number {
  try {
    return parseReleaseNumber(text);
  } catch {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a version of a secret`, {
      hint: "versions are named v1, v2, …; see `bronze secret list`",
    });
  }
}
