import type { HealthcheckConfig } from "../../image/oci.ts";
import type { Heredoc } from "./source-text.ts";

/** A program with its arguments, or a line for the shell that SHELL names. */
export type CommandLine =
  | { readonly form: "exec"; readonly words: readonly string[] }
  | { readonly form: "shell"; readonly line: string };

/** A name and what is written as its value; variables are not put in yet. */
export interface Pair {
  readonly name: string;
  readonly value: string;
}

/** Files that COPY and ADD take, as written. */
export interface CopyInstruction {
  readonly kind: "copy" | "add";
  /** COPY --from: a stage's name or number, or an image; null: the project. */
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly documents: readonly Heredoc[];
  readonly target: string;
  readonly chown: string | null;
  readonly chmod: string | null;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** ADD --checksum. */
  readonly checksum: string | null;
  /** ADD --unpack; null: archives of the project are unpacked, those of the web are not. */
  readonly unpack: boolean | null;
}

export interface RunInstruction {
  readonly kind: "run";
  readonly command: CommandLine;
  readonly documents: readonly Heredoc[];
  /** Each `--mount` as written. */
  readonly mounts: readonly string[];
  readonly network: "egress" | "none";
}

/** What an instruction asks for. Texts are as written: variables are put in when it is carried out. */
export type InstructionBody =
  | { readonly kind: "arg"; readonly args: readonly { readonly name: string; readonly value: string | null }[] }
  | { readonly kind: "env"; readonly pairs: readonly Pair[] }
  | { readonly kind: "label"; readonly pairs: readonly Pair[] }
  | { readonly kind: "workdir"; readonly path: string }
  | { readonly kind: "user"; readonly name: string }
  | { readonly kind: "stopsignal"; readonly signal: string }
  | { readonly kind: "expose"; readonly ports: readonly string[] }
  | { readonly kind: "volume"; readonly paths: readonly string[] }
  | { readonly kind: "maintainer"; readonly name: string }
  | { readonly kind: "cmd"; readonly command: CommandLine }
  | { readonly kind: "entrypoint"; readonly command: CommandLine }
  | { readonly kind: "shell"; readonly words: readonly string[] }
  | { readonly kind: "healthcheck"; readonly check: HealthcheckConfig }
  | { readonly kind: "onbuild"; readonly trigger: string }
  | CopyInstruction
  | RunInstruction;

export type Instruction = InstructionBody & {
  /** First line of it in the file, from 1. */
  readonly line: number;
  /** As written, on one line. */
  readonly text: string;
};

/** The beginning of a stage. */
export interface StageStart {
  readonly kind: "from";
  readonly line: number;
  readonly text: string;
  /** A stage before it, an image, or `scratch`. */
  readonly base: string;
  /** In lower case. */
  readonly name: string | null;
  readonly platform: string | null;
}
