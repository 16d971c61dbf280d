import type { BuildDefinition } from "../model/definition.ts";
import { pinBases } from "./bases.ts";
import { pinRecipe } from "./debian/recipe.ts";
import { machinePlatform } from "./dockerfile/base-image.ts";
import { namedBases } from "./dockerfile/bases.ts";
import { changeLock } from "./lock-file.ts";
import { imageName } from "./named-image.ts";
import { noPinning, type Pinning, type PinChange, type PinOptions } from "./pins.ts";

/**
 * Pins in bronze.lock what a definition takes from outside.
 *
 * @returns what the lock says now and did not say before, in order of name
 * @throws {OperatorError} `NOT_FOUND` for a name in `only` that the definition does not use, `REGISTRY_FAILED`,
 * `DEFINITION_INVALID`, `LOCKED`, `INTERRUPTED`
 */
export async function lockProject(build: BuildDefinition, options: PinOptions): Promise<readonly PinChange[]> {
  const { changes, apply } = await pinningOf(build, options);
  if (changes.length > 0) await changeLock(options.projectDir, options.signal, apply);
  return [...changes].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function pinningOf(build: BuildDefinition, options: PinOptions): Promise<Pinning> {
  switch (build.kind) {
    case "dockerfile":
      return pinBases(
        await namedBases(options.projectDir, build.path, new Map(Object.entries(build.args ?? {}))),
        options,
      );
    case "debian":
      return pinRecipe(build, options);
    case "image": {
      const name = await imageName(build.path, options.projectDir);
      return name === undefined ? noPinning : pinBases([{ name, platform: machinePlatform() }], options);
    }
    default:
      return build satisfies never;
  }
}
