import type { Digest } from "../model/canonical.ts";
import type { Registry } from "../ports/registry.ts";
import type { NetworkUse } from "../ports/step-runner.ts";
import type { StepRunner } from "../ports/step-runner.ts";
import type { Descriptor, Store } from "../ports/store.ts";
import type { SignedStatement } from "../store/attestations.ts";
import type { PinnedPackage } from "./debian/pins.ts";
import type { EvidenceOptions, MadeStatement } from "./evidence/evidence.ts";
import type { SkippedScript } from "./debian/scripts.ts";
import type { Source } from "./source.ts";

/** A value that is handed to a build and must not be in what it makes. */
export interface SecretValue {
  /** The name it is handed over with; the value is never told. */
  readonly id: string;
  readonly value: Uint8Array;
}

/** What a build is doing, as it happens. Steps run beside each other: `step` tells whose event it is. */
export type BuildEvent =
  | {
      readonly kind: "started";
      /** Unique in the build, in the order of the file: `2/5 of build`, or a word such as `base`. */
      readonly step: string;
      /** What it does, on one line. */
      readonly text: string;
    }
  | { readonly kind: "output"; readonly step: string; readonly bytes: Buffer }
  | {
      readonly kind: "ended";
      readonly step: string;
      /** `cached`: nothing had to be done. `stopped`: by an interruption, or because another step failed. */
      readonly how: "done" | "cached" | "failed" | "stopped";
      readonly ms: number;
      /** More about it, on one line: how much was fetched. */
      readonly text?: string;
      /** What a program that ran sent and got; absent: none ran, or its step was cached. */
      readonly network?: NetworkUse;
    }
  /** How far a step is, on one line; worth showing only while it lasts. */
  | { readonly kind: "progress"; readonly step: string; readonly text: string }
  /** Something worth knowing that is no step. */
  | { readonly kind: "note"; readonly text: string };

export interface BuildOptions {
  readonly projectDir: string;
  readonly store: Store;
  /** Where bases come from that the store lacks; absent: from nowhere. */
  readonly registry?: Registry;
  /** Folder that may be deleted at any time; what is in it only saves work. */
  readonly cacheDir: string;
  /** What that folder may take; absent: 20 GB, or a tenth of its file system. */
  readonly cacheBytes?: number;
  /** True: every step is done again, whatever the cache has. */
  readonly noCache?: boolean;
  /** Who runs programs of the image, made when the first is to be run; absent: nobody, such a step is refused. */
  readonly steps?: () => Promise<StepRunner>;
  /** Which stage of a Dockerfile; absent: what the definition says. */
  readonly target?: string;
  /** Values for a Dockerfile's ARG, before those of the definition. */
  readonly buildArgs?: ReadonlyMap<string, string>;
  /** What steps may mount as secrets; none of it may be in what is built. */
  readonly secrets?: readonly SecretValue[];
  /** Latest time of anything in the image, whole seconds since the epoch; absent: SOURCE_DATE_EPOCH, then the source's commit. */
  readonly sourceEpoch?: number;
  /** What the project's source is, by `readSource()`, where that was asked for before; absent: it is asked for. */
  readonly source?: Promise<Source>;
  readonly report: (event: BuildEvent) => void;
  readonly signal: AbortSignal;
  /** What its evidence is to say of the definition; absent: none is made. */
  readonly evidence?: EvidenceOptions;
  /** A name in the store for the result. */
  readonly tagAs?: string;
  /**
   * Signs something that is to be said about an artifact that is made here; the build puts it into the store with the artifact,
   * before that has a name. Asked one after the other: the first one may make the machine's first key.
   *
   * @param artifact its manifest, which the store need not have yet
   */
  readonly attest?: (artifact: Descriptor, statement: MadeStatement) => Promise<SignedStatement>;
}

/** What an image says about how it wants to be run. */
export interface ImageFacts {
  readonly exposedPorts: readonly number[];
  /** As written in the image: a name or number, with or without a group; "" means root. */
  readonly user: string;
  readonly cmd: readonly string[];
  readonly entrypoint: readonly string[];
  readonly env: readonly string[];
  readonly workdir: string;
  /** What its HEALTHCHECK asks; null: it has none, or says NONE. */
  readonly health: HealthFacts | null;
  /** Paths that VOLUME names, sorted. */
  readonly volumes: readonly string[];
}

/** A HEALTHCHECK: a path that is asked over HTTP, or a command that has no counterpart here. */
export type HealthFacts =
  | {
      readonly kind: "http";
      readonly path: string;
      /** null where a variable says it. */
      readonly port: number | null;
      /** How long the app may take until it is well, in ms; null: not said. */
      readonly startMs: number | null;
    }
  | { readonly kind: "command"; readonly command: string };

export interface BuiltArtifact {
  readonly digest: Digest;
  readonly warnings: readonly string[];
  readonly config: ImageFacts;
  readonly layers: readonly Descriptor[];
  /** Commit of the source, where it is known. */
  readonly commit: string | null;
  /** True: the store held this very artifact before. */
  readonly cached: boolean;
  /** What a Debian recipe was made of, and whose maintainer scripts it may miss. */
  readonly debian?: { readonly packages: readonly PinnedPackage[]; readonly skipped: readonly SkippedScript[] };
}
