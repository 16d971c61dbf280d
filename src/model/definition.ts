import type { Config } from "./config.ts";
import type { EnvironmentSettings, RunSettings } from "./content.ts";
import type { AppName, EnvironmentName } from "./names.ts";
import type { TestTask } from "./tasks.ts";
import type { SecretName } from "./secret.ts";

/** Files copied from the project into a recipe's image. */
export interface CopyRule {
  /** Path in the project, relative, never above it; a folder means what is in it. */
  readonly from: string;
  /** Absolute path in the image. */
  readonly to: string;
}

/** A small image from Debian packages and files of the project. */
export interface DebianRecipe {
  readonly kind: "debian";
  /** Suite: `bookworm`. */
  readonly suite: string;
  readonly packages: readonly string[];
  /** Whether what packages recommend comes too. */
  readonly recommends: boolean;
  /** Whether it is a whole system with a shell and apt, its packages' maintainer scripts run. */
  readonly full: boolean;
  /** What bronze.lock pins packages for, as Debian names them; empty: the architecture of the machine that builds. */
  readonly architectures: readonly string[];
  readonly copy: readonly CopyRule[];
  readonly env: { readonly [name: string]: string };
  readonly workdir: string;
  /** `name` or `uid[:gid]`; the default is 65532:65532, of a full system without a command root. */
  readonly user: string;
  /** Empty only in a full system, which is then meant as a base for others. */
  readonly command: readonly string[];
  readonly expose: readonly number[];
}

/** Something that looks like a secret and is none: it may be in the artifact, which carries the reason. */
export interface SecretAllowance {
  /** Glob of paths in the image, or `ENV NAME`, `LABEL NAME`, `HISTORY`. */
  readonly path: string;
  /** As the refusal named it. */
  readonly rule: string;
  readonly reason: string;
}

/** What is decided about an artifact whatever it is built from. */
export interface BuildSettings {
  /** How the layers that are made here are stored and sent; absent: as they are. */
  readonly compress?: "zstd" | "gzip";
  readonly allowSecrets?: readonly SecretAllowance[];
}

/** What a Dockerfile says. */
export interface DockerfileBuild {
  readonly kind: "dockerfile";
  /** Relative to the project. */
  readonly path: string;
  /** A stage's name or number; absent: the last one. */
  readonly target?: string;
  /** Values for its ARG. */
  readonly args?: { readonly [name: string]: string };
}

export type BuildDefinition =
  | (DebianRecipe & BuildSettings)
  | (DockerfileBuild & BuildSettings)
  | {
      readonly kind: "image";
      /** OCI layout folder or archive, relative to the project, or the name of an image with its tag or digest. */ readonly path: string;
    };

/** Run settings as written; what the image may know better is null where nothing was said. */
export type DefinedRunSettings = Omit<RunSettings, "port" | "health"> & {
  readonly port: number | null;
  readonly health: { readonly path: string | null; readonly tcp?: true; readonly deadlineMs: number | null };
};

/** Where config comes from. */
export type ConfigSource =
  | { readonly kind: "values"; readonly values: Config }
  /** A dotenv file of the project, read when a release is asked for. */
  | { readonly kind: "file"; readonly path: string };

/** Where a secret's value is read when a release is asked for. */
export type SecretSource =
  /** Absolute, or relative to the project. */
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "env"; readonly variable: string }
  | { readonly kind: "command"; readonly command: readonly string[] };

/** A secret that instances see. */
export interface SecretDefinition {
  readonly name: SecretName;
  /** Also as an environment variable. */
  readonly variable: boolean;
  /** Absent: `bronze secret` gives it its values. */
  readonly from?: SecretSource;
}

/** Where something stands in a definition file. */
export interface DefinitionPlace {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly path: string;
}

/** Where an app says that it needs another. */
export interface NeedPlace extends DefinitionPlace {
  readonly app: AppName;
  readonly need: AppName;
}

/** A definition file, or a folder that holds one, as another definition lists it. */
export interface ListedDefinition {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

/** What a definition file holds: apps, or where their definitions are. */
export type DefinitionFile =
  | { readonly kind: "apps"; readonly definitions: readonly Definition[]; readonly needs: readonly NeedPlace[] }
  | { readonly kind: "list"; readonly paths: readonly ListedDefinition[] };

/** One app of `bronze.yaml`, parsed and with its defaults filled in. */
export interface Definition {
  readonly app: AppName;
  readonly build: BuildDefinition;
  readonly run: DefinedRunSettings;
  /** What its artifact has to pass before it may be released, in order; absent: nothing. */
  readonly tests?: readonly TestTask[];
  /** Of every environment. */
  readonly config?: ConfigSource;
  /** At least one; in the order written. `from` names the environment promoted from. */
  readonly environments: readonly {
    readonly name: EnvironmentName;
    readonly from: EnvironmentName | null;
    readonly settings: EnvironmentSettings;
    /** Put over that of every environment. */
    readonly config?: ConfigSource;
    /** All that its instances see, those of every environment among them. */
    readonly secrets?: readonly SecretDefinition[];
  }[];
}
