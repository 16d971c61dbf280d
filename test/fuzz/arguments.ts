import assert from "node:assert/strict";
import { CommanderError } from "commander";
import fc from "fast-check";
import { commands } from "../../src/cli/commands.ts";
import { prepare } from "../../src/cli/run-command.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import { parseAppName, parseDigest, parseEnvironmentName, parseReleaseNumber } from "../../src/model/names.ts";
import { nearestName } from "../../src/model/nearest.ts";
import { placesOf } from "../../src/model/places.ts";
import { parseDurationMs, parseSizeBytes } from "../../src/model/quantities.ts";
import type { FuzzTarget } from "./target.ts";

const options =
  "--json --state --app -e --environment --file --follow -n --lines --limit --all -m --why --at --watch --wait --http-port --name --refresh --print -- --".split(
    " ",
  );
const word = fc.oneof(
  fc.constantFrom(...options),
  fc.constantFrom(
    "v1",
    "v0",
    "-1",
    "1",
    "sha256:",
    "shop",
    "production",
    "",
    "constructor",
    "__proto__",
    "10m",
    "256Mi",
    "verify",
    "bash",
  ),
  fc.string({ unit: "binary", maxLength: 8 }),
);

function refuses(parse: () => unknown): void {
  try {
    parse();
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.exitStatus === 2, String(thrown));
  }
}

/** Whatever a command is given, it takes it or refuses it as wrong usage; nothing is carried out. */
export const argumentTarget: FuzzTarget = {
  name: "arguments",
  weight: 10,
  property: fc.asyncProperty(fc.constantFrom(...commands), fc.array(word, { maxLength: 5 }), async (entry, words) => {
    const command = prepare(await entry.load()).configureOutput({
      writeOut: () => undefined,
      writeErr: () => undefined,
    });
    for (const one of [command, ...command.commands])
      one.action(() => undefined).configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
    try {
      await command.parseAsync(words, { from: "user" });
    } catch (thrown) {
      const isWrongUsage =
        thrown instanceof CommanderError || (thrown instanceof OperatorError && thrown.exitStatus === 2);
      assert.ok(isWrongUsage, String(thrown));
    }
    for (const text of words) {
      for (const parse of [
        parseAppName,
        parseEnvironmentName,
        parseDigest,
        parseReleaseNumber,
        parseDurationMs,
        parseSizeBytes,
        placesOf,
      ])
        refuses(() => parse(text));
      nearestName(text, options);
    }
  }),
};
