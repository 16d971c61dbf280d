import type { Digest } from "../../model/canonical.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import type { PinnedPackage } from "../debian/pins.ts";
import type { LayerSource } from "../layer/placement.ts";
import type { SourceFile, SourceTree } from "../layer/source-tree.ts";
import type { FoundFile } from "../layer/walk.ts";
import type { BuildEvent } from "../options.ts";
import { collectOutput, type StepOutput } from "./output.ts";

/** A program that a step ran, or would have. */
export interface RunFact {
  /** sha256 of everything that may change what comes out: what the step is found again by. */
  readonly key: Digest;
  readonly network: "egress" | "none";
  /** Whether anything was sent or received. */
  readonly usedNetwork: boolean;
  /** What the step left for later ones only. */
  readonly aside: StepLayer | null;
  /** Names of the secrets that it was given. */
  readonly secrets: readonly string[];
  /** Digests of the layers below. */
  readonly below: readonly Digest[];
  /** Whether an earlier build ran it. */
  readonly cached: boolean;
}

/** A file that came from an address. */
export interface DownloadFact {
  readonly address: string;
  readonly digest: Digest;
  readonly size: number;
}

/** What was done for one instruction. */
export interface StepFact {
  /** As the build shows it: `2/5 of build`. */
  readonly name: string;
  /** The instruction as written. */
  readonly text: string;
  /** null: nothing changed. */
  readonly layer: StepLayer | null;
  readonly run?: RunFact;
  readonly downloads?: readonly DownloadFact[];
}

/** An image that a build began with or copied from. */
export interface BaseFact {
  readonly name: string;
  readonly platform: string;
  readonly digest: Digest;
}

/** A file of the definition that the build read, and that no layer holds: a Dockerfile. */
export interface ReadFact {
  /** In the project. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** Everything that a build took and did, as far as it may be told. */
export interface BuildFacts {
  /** Stage by stage, in the order of the file. */
  readonly steps: readonly StepFact[];
  readonly bases: readonly BaseFact[];
  readonly packages: readonly PinnedPackage[];
  readonly read: readonly ReadFact[];
  /** Files, folders and symlinks of the project that were looked at for layers; of files those that went into one. */
  readonly files: readonly FoundFile[];
  /** Members of the layers that were made of the project's files. */
  readonly layers: ReadonlyMap<Digest, readonly LayerSource[]>;
  /** What a step wrote, secrets taken out; undefined: it was not run now. */
  output(step: string): StepOutput | undefined;
}

/** Writes down what a build does. */
export interface Recorder {
  readonly facts: BuildFacts;
  /** An event of the build, as it is shown. */
  event(event: BuildEvent): void;
  /** For the steps of one stage; others may be built beside it. @param position of the stage in the file */
  stage(position: number): (fact: StepFact) => void;
  base(fact: BaseFact): void;
  packages(packages: readonly PinnedPackage[]): void;
  read(path: string, bytes: Buffer): void;
  /** Files that go into a layer. */
  files(files: Iterable<FoundFile>): void;
  /** The project's files, which write down who asks for them. */
  watch(tree: SourceTree): SourceTree;
  /** A layer of the project's files, as it was written or found. */
  layer(digest: Digest, members: readonly LayerSource[]): void;
}

/** @param said an instruction as it may be told */
export function createRecorder(said: (text: string) => string = (text) => text): Recorder {
  const stages: StepFact[][] = [];
  const bases = new Map<string, BaseFact>();
  const reads = new Map<string, ReadFact>();
  const files = new Set<FoundFile>();
  const layers = new Map<Digest, readonly LayerSource[]>();
  const outputs = collectOutput();
  let packages: readonly PinnedPackage[] = [];
  return {
    facts: {
      get steps() {
        return stages.flat();
      },
      get bases() {
        return [...bases.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      },
      get packages() {
        return packages;
      },
      get read() {
        return [...reads.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
      },
      get files() {
        return [...files];
      },
      layers,
      output: outputs.of,
    },
    event: outputs.event,
    stage(position) {
      const steps = (stages[position] ??= []);
      return (fact) => void steps.push({ ...fact, text: said(fact.text) });
    },
    base: (fact) => void bases.set(keyOf(fact), fact),
    packages: (pinned) => void (packages = pinned),
    read: (path, bytes) => void reads.set(path, { path, bytes }),
    files(found) {
      for (const file of found) files.add(file);
    },
    watch: (tree) => ({
      at(path) {
        const file = tree.at(path);
        if (file?.kind === "symlink") files.add(file as FoundFile);
        return file;
      },
      *walk(start, depth) {
        for (const file of tree.walk(start, depth)) {
          // Who looks so many levels deep looks for names; who copies goes to the end.
          if (depth === undefined && (file.kind === "directory" || file.kind === "symlink"))
            files.add(file as FoundFile);
          yield file;
        }
      },
      bytes(file: SourceFile) {
        files.add(file as FoundFile);
        return tree.bytes(file);
      },
    }),
    layer: (digest, members) => void layers.set(digest, members),
  };
}

function keyOf({ name, platform }: BaseFact): string {
  return `${name}\0${platform}`;
}
