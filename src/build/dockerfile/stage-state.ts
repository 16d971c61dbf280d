import type { ContainerConfig } from "../../image/oci.ts";
import type { BytePath } from "../../image/tar-entry.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import { Scope } from "./scope.ts";
import { withEnv, type ImageState } from "../image-state.ts";

/** A stage on its way: its image so far and what its next instructions need. Every change makes a new one. */
export interface StageState {
  readonly image: ImageState;
  /** `linux/amd64`. */
  readonly platform: string;
  /** What RUN sees: the image's layers, and what steps set aside for each other. */
  readonly root: readonly StepLayer[];
  /** ENV and ARG as they are now, for `$NAME` and for programs; the later one counts. */
  readonly variables: Scope;
  /** Names of ARG in the order of the file, for the history of RUN. */
  readonly args: readonly string[];
  /** Folders that WORKDIR wants and that come with the next layer, each the user's of its moment. */
  readonly folders: readonly WantedFolder[];
  /** Whether CMD came in this stage. */
  readonly commandSet: boolean;
}

export interface WantedFolder {
  readonly path: BytePath;
  /** As USER says it; "" is root. */
  readonly user: string;
}

export function shellOf(config: ContainerConfig): readonly string[] {
  return config.Shell ?? ["/bin/sh", "-c"];
}

/** RFC 3339 of whole seconds since the epoch. */
export function createdAt(epoch: number): string {
  return new Date(epoch * 1000).toISOString().replace(".000Z", "Z");
}

const comment = "buildkit.dockerfile.v0";

/** Adds a line of history, as BuildKit writes it. */
export function withHistory(state: StageState, createdBy: string, epoch: number, layer: StepLayer | null): StageState {
  const entry = { created: createdAt(epoch), created_by: createdBy, comment };
  const { image } = state;
  return {
    ...state,
    image: {
      ...image,
      layers: layer === null ? image.layers : [...image.layers, layer.descriptor],
      diffIds: layer === null ? image.diffIds : [...image.diffIds, layer.diffId],
      history: [...image.history, layer === null ? { ...entry, empty_layer: true } : entry],
    },
    root: layer === null ? state.root : [...state.root, layer],
  };
}

export function withConfig(state: StageState, change: ContainerConfig): StageState {
  return { ...state, image: { ...state.image, config: { ...state.image.config, ...change } } };
}

/** Sets a variable of the image and of everything that comes after. */
export function withVariable(state: StageState, name: string, value: string): StageState {
  const changed = withConfig(state, { Env: withEnv(state.image.config.Env, name, value) });
  return { ...changed, variables: changed.variables.with(name, value) };
}

/** The variables of an image's config. */
export function variablesOf(config: ContainerConfig): Scope {
  return new Scope(
    (config.Env ?? []).map((entry): [string, string] => {
      const equals = entry.indexOf("=");
      return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}
