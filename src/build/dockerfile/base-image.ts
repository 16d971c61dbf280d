import { machineArchitecture, defaultPath, emptyImage, readImage } from "../image-state.ts";
import type { Bases } from "../bases.ts";
import type { Digest } from "../../model/canonical.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { Store } from "../../ports/store.ts";
import { variablesOf, type StageState } from "./stage-state.ts";

/** The machine's own platform, as images name it. */
export function machinePlatform(): string {
  return `linux/${machineArchitecture()}`;
}

/** A stage that begins with nothing. */
export function scratchState(platform: string): StageState {
  const [, architecture = "", variant] = platform.split("/");
  const config = { Env: [defaultPath], WorkingDir: "/" };
  return {
    image: { ...emptyImage(architecture), ...(variant === undefined ? {} : { variant }), config },
    platform,
    root: [],
    variables: variablesOf(config),
    args: [],
    folders: [],
    commandSet: false,
  };
}

/** A stage that begins with an image. @throws {OperatorError} as `Bases.resolve` */
export async function imageState(
  name: string,
  platform: string,
  { store, bases }: { readonly store: Store; readonly bases: Bases },
): Promise<StageState> {
  const digest = await bases.resolve(name, platform);
  const { manifest, image } = await readImage(store, digest);
  const config = { ...image.config, Env: image.config.Env ?? [defaultPath] };
  return {
    image: {
      architecture: image.architecture,
      ...(image.variant === undefined ? {} : { variant: image.variant }),
      ...(image.author === undefined ? {} : { author: image.author }),
      config,
      layers: manifest.layers,
      diffIds: image.diffIds,
      history: image.history,
      base: { layers: manifest.layers.length, history: image.history.length, config: image.config },
    },
    platform,
    root: manifest.layers.map((descriptor, i): StepLayer => ({ descriptor, diffId: image.diffIds[i] as Digest })),
    variables: variablesOf(config),
    args: [],
    folders: [],
    commandSet: false,
  };
}

/** A stage that begins where another one ended. */
export function childState(state: StageState): StageState {
  return { ...state, commandSet: false };
}
