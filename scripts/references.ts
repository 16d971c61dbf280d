/** Writes docs/cli.md and docs/errors.md from the sources; with --check it writes nothing and fails where they differ. */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { commands } from "../src/cli/commands.ts";
import { exitStatusByCode, type ErrorCode } from "../src/errors/codes.ts";

const root = dirname(import.meta.dirname);

const meaningByStatus: Readonly<Record<number, string>> = {
  0: "what was asked for is true now",
  1: "a fault of Bronze itself",
  2: "usage or definition",
  3: "changes or drift found",
  4: "not found",
  5: "rollout failed or superseded",
  6: "denied by a gate",
  7: "verification failed",
  8: "locked",
  9: "daemon unreachable",
  10: "build or test failed",
  11: "the machine lacks or refuses something",
  130: "interrupted or declined",
};

const meaningByCode: Readonly<Record<ErrorCode, string>> = {
  INTERNAL: "Bronze met a state it was not written for. `BRONZE_DEBUG=1` shows where.",
  PROMISE_BROKEN: "The demo saw something that Bronze promises not to happen.",
  USAGE: "The command line cannot be understood: an unknown command or option, or one that is missing.",
  DEFINITION_INVALID: "The definition has problems; all of them are named with line, column and path.",
  ARGUMENT_INVALID: "A value has the wrong form: a name, a digest, a release, a quantity.",
  NOT_YET_SUPPORTED: "A later version will know this. It is refused, never ignored.",
  ROUTE_OWNED: "Another app or environment has this host and path already.",
  VOLUME_HELD: "an exclusive volume is wanted twice, by two apps, two processes or several instances.",
  VOLUME_UNFIT: "a volume lies where the image has files, or where no volume may be.",
  DRIFT_FOUND: "What runs differs from what was released.",
  NOT_FOUND: "There is no such app, environment, release, instance, artifact or file.",
  NO_ROLLBACK_TARGET: "There is no earlier release to go back to.",
  SECRET_MISSING: "A secret that the definition lists has no value in this environment, or there is none of that name.",
  SECRET_NEEDED: "Releases that a rollback may reach need this secret; nothing was removed or revoked.",
  VOLUME_LOST: "A volume that the live release has is there no more; an empty one is not made in its place.",
  VOLUME_NEEDED: "a volume or snapshot is to be removed for good, without --yes.",
  SECRET_UNREADABLE: "A secret's value or the key of secrets is gone or damaged. What runs goes on.",
  SECRETS_LOCKED: "The key of secrets waits for its passphrase, or it was another one.",
  SECRET_PROVIDER: "A file, variable or command that a secret comes from gave no value.",
  ROLLOUT_UNHEALTHY: "Not enough instances became healthy. Traffic stayed where it was.",
  ROLLOUT_FAILED: "The rollout was aborted or taken back for another reason.",
  ROLLOUT_SUPERSEDED: "A newer deploy, a rollback or `bronze down` took its place.",
  PROMOTION_DENIED: "What is to come live was not proven in the environment before.",
  KEY_UNUSABLE:
    "A signing key is gone, may be read by others, or is outside its window. Nothing is signed until it is mended.",
  CONTENT_QUARANTINED:
    "The content proved bad in the environment: nothing puts it live there until a newer one went live, or `bronze rollout allow` lets it.",
  ARTIFACT_REVOKED: "The artifact, or an image it was made from, was revoked by a person: it is not released again.",
  ARTIFACT_UNVERIFIED: "What the environment wants of an artifact's evidence is missing or does not hold.",
  VERIFICATION_FAILED: "Bytes are not what their digest says, or an image was touched.",
  LEDGER_DAMAGED: "The ledger's hash chain does not hold.",
  NOT_REPRODUCIBLE: "Two builds of one source differ; layer, path and field of the first difference are named.",
  LOCKED: "Another daemon has this state folder.",
  VOLUME_ATTACHED: "an exclusive volume is still attached to another instance, or in use.",
  DAEMON_UNREACHABLE: "No daemon answers on the socket, or it went away meanwhile.",
  BUILD_FAILED: "The artifact could not be made.",
  SECRET_FOUND: "A secret is in what was built, or was to be set as config. Nothing of it was published or kept.",
  TEST_FAILED: "A test of the artifact, or a check of the new content, did not pass. Traffic stayed where it was.",
  COMMAND_FAILED: "What `bronze run` ran did not end with status 0.",
  REGISTRY_FAILED: "A registry of images cannot be reached, or does not let us in.",
  MACHINE_LACKS: "Something needed is missing on this machine; `bronze doctor` lists everything.",
  MACHINE_REFUSED: "The machine has it and does not let us use it.",
  DISK_FULL: "No space is left. Nothing was half-written.",
  RUNTIME_FAILED: "An instance could not be started or ended.",
  ROUTER_FAILED: "The router could not be started or changed.",
  INTERRUPTED: "Ctrl-C, SIGTERM, or a question answered with no.",
};

const generated = "<!-- Made by scripts/references.ts; do not edit. -->";

async function renderCli(): Promise<string> {
  const sections: string[] = [];
  for (const { name, load } of commands) sections.push(...renderCommand(await load(), `bronze ${name}`));
  return [
    "# Command line",
    "",
    generated,
    "",
    'Results go to stdout, progress and remarks to stderr. With `--json` stdout holds JSON only: one object a command, a line each where it streams; errors too, as `{"error": {…}}`.',
    "",
    "| exit status | meaning |",
    "|---|---|",
    ...Object.entries(meaningByStatus).map(([status, meaning]) => `| ${status} | ${meaning} |`),
    "",
    ...sections,
  ].join("\n");
}

function renderCommand(command: Command, path: string): readonly string[] {
  const subs = command.commands.filter((sub) => sub.name() !== "help");
  const usage = command.usage().replace("[options] [command]", "COMMAND");
  const options = command.options.map(({ flags, description, defaultValue }) => {
    const value = defaultValue === undefined ? "" : ` (default ${JSON.stringify(defaultValue)})`;
    return `| \`${flags.replaceAll("|", "\\|")}\` | ${description}${value} |`;
  });
  const parameters = command.registeredArguments.map(
    (argument) => `| \`${argument.required ? argument.name() : `[${argument.name()}]`}\` | ${argument.description} |`,
  );
  const rows = [...parameters, ...options];
  return [
    `## ${path}`,
    "",
    command.description(),
    "",
    `    ${path} ${usage}`,
    "",
    ...(rows.length === 0 ? [] : ["| | |", "|---|---|", ...rows, ""]),
    ...subs.flatMap((sub) => renderCommand(sub, `${path} ${sub.name()}`)),
  ];
}

function renderErrors(): string {
  const rows = (Object.keys(exitStatusByCode) as ErrorCode[])
    .toSorted()
    .map((code) => `| \`${code}\` | ${exitStatusByCode[code]} | ${meaningByCode[code]} |`);
  return ["# Errors", "", generated, "", "| code | exit status | meaning |", "|---|---|---|", ...rows, ""].join("\n");
}

const documents: readonly (readonly [string, string])[] = [
  ["docs/cli.md", await renderCli()],
  ["docs/errors.md", renderErrors()],
];
for (const [name, text] of documents) {
  const path = join(root, name);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
    continue;
  }
  let there = "";
  try {
    there = readFileSync(path, "utf8");
  } catch {
    // Counts as different.
  }
  if (there === text) continue;
  console.log(`${name} is not what the sources say; run: node scripts/references.ts`);
  process.exitCode = 1;
}
