/** Something taken for granted, and what speaks for it. */
export interface Assumption {
  readonly what: string;
  readonly why: string;
}

/** Something that another tool's file says and the definition does not. */
export interface NotCarriedOver {
  readonly what: string;
  /** File and line. */
  readonly where: string;
  /** What to do about it. */
  readonly advice: string;
}

export interface Variables {
  readonly [name: string]: string;
}

/** What the image is made from. */
export type BuildPlan =
  | {
      readonly kind: "dockerfile";
      readonly path: string;
      readonly target: string | null;
      readonly args: Variables;
      /** Text of the Dockerfile where it is yet to be written. */
      readonly text: string | null;
    }
  | {
      readonly kind: "debian";
      readonly suite: string;
      readonly packages: readonly string[];
      readonly workdir: string | null;
      readonly copy: readonly (string | { readonly from: string; readonly to: string })[];
      /** A comment line before what is copied. */
      readonly copyNote: string | null;
      readonly env: Variables;
      readonly command: readonly string[];
    }
  | { readonly kind: "image"; readonly name: string };

/** What is found out about a project. */
export interface Plan {
  readonly kind: "dockerfile" | "node" | "python" | "static" | "image";
  /** A name in its own files. */
  readonly name: string | null;
  readonly build: BuildPlan;
  /** Other files that the build reads and that are yet to be written. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** Whether the image holds the project's own files, so that other processes can run in it. */
  readonly holdsSources: boolean;
  readonly port: number;
  /** Variables of instances that the image does not say; absent: none. */
  readonly config?: Variables;
  /** Replaces the image's command. */
  readonly command: readonly string[] | null;
  readonly healthPath: string | null;
  readonly tmpfs: readonly string[];
  /** Lines of .dockerignore; null: none is written. */
  readonly ignore: readonly string[] | null;
  readonly assumed: readonly Assumption[];
  readonly notCarriedOver: readonly NotCarriedOver[];
  /** What stands in the way of the first `bronze up`, or should be done before long. */
  readonly todo: readonly string[];
}

/** How a program is started, as somebody wrote it. */
export interface StartLine {
  /** Words, or a line for a shell. */
  readonly line: string | readonly string[];
  /** File and line, or what names it. */
  readonly from: string;
}

/** A process besides web, as another tool's file names it. */
export interface WorkerWish {
  readonly name: string;
  /** File and line. */
  readonly from: string;
  /** Goes behind the image's entrypoint, as `CMD` does. */
  readonly start: StartLine | null;
  /** Replaces the image's entrypoint. */
  readonly entrypoint: StartLine | null;
  readonly instances: number | null;
  readonly memory: string | null;
  readonly cpu: number | null;
  readonly pids: number | null;
}

/** What another tool's file says about the app, in our words. */
export interface Wishes {
  /** The file. */
  readonly file: string;
  readonly name: string | null;
  /** Replaces the image's command and leaves its entrypoint, as `CMD` does. */
  readonly start: StartLine | null;
  /** Replaces the image's entrypoint. */
  readonly entrypoint: StartLine | null;
  readonly port: { readonly value: number; readonly from: string } | null;
  readonly healthPath: { readonly value: string; readonly from: string } | null;
  readonly healthDeadline: string | null;
  readonly env: readonly { readonly name: string; readonly value: string; readonly from: string }[];
  readonly memory: string | null;
  readonly cpu: number | null;
  readonly pids: number | null;
  readonly instances: number | null;
  readonly host: { readonly value: string; readonly from: string } | null;
  readonly tmpfs: readonly string[];
  readonly capabilities: readonly string[];
  /** Folder that is built, relative, "" for this one. */
  readonly folder: string;
  readonly dockerfile: string | null;
  readonly target: string | null;
  readonly args: Variables;
  readonly image: string | null;
  readonly workers: readonly WorkerWish[];
  /** What runs before each release. */
  readonly release: StartLine | null;
  readonly assumed: readonly Assumption[];
  readonly notCarriedOver: readonly NotCarriedOver[];
}

/** A process of which nothing but its command is known. */
export function workerOf(name: string, start: StartLine): WorkerWish {
  return { name, from: start.from, start, entrypoint: null, instances: null, memory: null, cpu: null, pids: null };
}

/** A file that says nothing. */
export function noWishes(file: string): Wishes {
  return {
    file,
    name: null,
    start: null,
    entrypoint: null,
    port: null,
    healthPath: null,
    healthDeadline: null,
    env: [],
    memory: null,
    cpu: null,
    pids: null,
    instances: null,
    host: null,
    tmpfs: [],
    capabilities: [],
    folder: "",
    dockerfile: null,
    target: null,
    args: {},
    image: null,
    workers: [],
    release: null,
    assumed: [],
    notCarriedOver: [],
  };
}

/** What `init` proposes. */
export interface Proposal {
  readonly kind: Plan["kind"];
  /** Where its files belong, relative to where one is; "" for here. */
  readonly folder: string;
  /** In the order of writing; bronze.yaml is the last. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly assumed: readonly Assumption[];
  readonly notCarriedOver: readonly NotCarriedOver[];
  readonly todo: readonly string[];
}
