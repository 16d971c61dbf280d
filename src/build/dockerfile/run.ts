import { posix } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { toBytePath } from "../../image/tar-entry.ts";
import { isDigest, type Digest, type Json } from "../../model/canonical.ts";
import type { StepLayer, StepMount, StepRequest, StepResult } from "../../ports/step-runner.ts";
import type { Blobs } from "../../ports/store.ts";
import type { BuildCache } from "../cache.ts";
import type { Recorder } from "../evidence/recorder.ts";
import type { LayerBytes } from "../layer/contents.ts";
import type { SecretValue } from "../options.ts";
import { proxyVariables } from "./arguments.ts";
import { copyFiles, putFile } from "./copy.ts";
import { makeFileLayer, type LayerPlace } from "./file-layer.ts";
import type { RunInstruction } from "./instruction.ts";
import { mountPoint, readMount, type MountRequest } from "./mounts.ts";
import type { SourceTree } from "../layer/source-tree.ts";
import { heredocText, parseHeredocWord } from "./source-text.ts";
import { shellOf, type StageState } from "./stage-state.ts";
import { expandText } from "./words.ts";
import { inlineBytes } from "./inline-bytes.ts";

/** What a RUN needs besides its stage. */
export interface RunContext extends LayerPlace {
  readonly escape: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly secrets: readonly SecretValue[];
  /** The project's files. */
  readonly project: () => Promise<SourceTree>;
  readonly recorder?: Recorder | undefined;
  /** The layers of a stage or image that `from=` names. */
  readonly layersOf: (name: string) => Promise<readonly StepLayer[]>;
}

/** What is run, and by what it is found again. */
export interface PreparedRun {
  readonly request: StepRequest;
  /** Everything that may change what comes out; no values of secrets, and no proxies. */
  readonly key: Json;
  /** The line of history. */
  readonly history: string;
  /** Names of the secrets that it sees. */
  readonly secrets: readonly string[];
}

const scriptFolder = "/dev/pipes";

/**
 * Puts together what a RUN asks of the machine.
 *
 * @throws {InstructionProblem} {SyntaxError} {OperatorError} `BUILD_FAILED` for a secret that was not given
 */
export async function prepareRun(
  state: StageState,
  instruction: RunInstruction,
  context: RunContext,
): Promise<PreparedRun> {
  const { config } = state.image;
  const workdir = config.WorkingDir ?? "/";
  const expand = (text: string): string => expandText(text, state.variables, { escape: context.escape });
  const wanted = instruction.mounts.map((mount) => readMount(mount, expand));
  const { words, script } = commandOf(state, instruction);
  const mounts: StepMount[] = script === undefined ? [] : [await scriptMount(script, context)];
  const secretEnv: string[] = [];
  for (const mount of wanted) {
    if (mount.kind === "secret") {
      const value = secretOf(mount, context.secrets);
      if (value === undefined) continue;
      if (mount.target !== null)
        mounts.push({ ...pick(mount), kind: "secret", target: mountPoint(workdir, mount.target), value });
      if (mount.variable !== null) secretEnv.push(`${mount.variable}=${Buffer.from(value).toString("utf8")}`);
    } else mounts.push(await fileMount(mount, mountPoint(workdir, mount.target), context));
  }
  const env = [...state.variables.values()].map(([name, value]) => `${name}=${value}`);
  const own = state.variables.values();
  const proxies = proxyVariables(context.buildArgs).filter((entry) => !own.has(entry.slice(0, entry.indexOf("="))));
  const common = {
    command: words,
    workdir,
    user: config.User ?? "",
    network: instruction.network,
    epoch: context.epoch,
  };
  const secretNames = wanted.flatMap((mount) =>
    mount.kind === "secret" ? [{ ...mount, given: context.secrets.some(({ id }) => id === mount.id) }] : [],
  );
  return {
    request: { ...common, layers: state.root, env: [...env, ...proxies], secretEnv, mounts },
    key: {
      version: 1,
      ...common,
      layers: state.root.map(({ diffId }) => diffId),
      env,
      secrets: secretNames.map((mount) => ({ ...mount })),
      mounts: mounts.flatMap((mount) => (mount.kind === "secret" ? [] : [mountKey(mount)])),
    },
    history: historyOf(state, words),
    secrets: secretNames.filter(({ given }) => given).map(({ id }) => id),
  };
}

/** Runs it, or takes what an earlier build of the same made. */
export async function runOrRecall(
  key: Json,
  { cache, blobs }: { readonly cache: BuildCache; readonly blobs: Blobs },
  run: () => Promise<StepResult>,
): Promise<{ readonly result: StepResult; readonly cached: boolean }> {
  const known = await readRecord(await cache.read("runs", key), blobs);
  if (known !== undefined) return { result: known, cached: true };
  const result = await run();
  const { layer, aside, network } = result;
  await cache.write("runs", key, { layer: layerRecord(layer), aside: layerRecord(aside), network: { ...network } });
  return { result, cached: false };
}

/**
 * Looks for secrets that steps cannot do without, before any of them is run.
 *
 * @throws {OperatorError} `BUILD_FAILED` for one that was not given
 */
export function checkSecrets(instruction: RunInstruction, secrets: readonly SecretValue[]): void {
  for (const mount of instruction.mounts) {
    // What a variable says is known when its step comes.
    if (mount.includes("$")) continue;
    const read = readMount(mount, (value) => value);
    if (read.kind === "secret") secretOf(read, secrets);
  }
}

function commandOf(
  state: StageState,
  { command, documents }: RunInstruction,
): { readonly words: readonly string[]; readonly script?: { readonly name: string; readonly text: string } } {
  if (command.form === "exec") return { words: command.words };
  const shell = shellOf(state.image.config);
  const [first] = documents;
  if (first === undefined) return { words: [...shell, command.line] };
  if (parseHeredocWord(command.line) === undefined) {
    const full = [command.line, ...documents.map(({ content, name }) => `${content}${name}`)].join("\n");
    return { words: [...shell, full] };
  }
  const text = heredocText(first);
  if (!text.startsWith("#!")) return { words: [...shell, text] };
  return { words: [...shell, `${scriptFolder}/${first.name}`], script: { name: first.name, text } };
}

async function scriptMount(
  script: { readonly name: string; readonly text: string },
  context: RunContext,
): Promise<StepMount> {
  const bytes: LayerBytes & { readonly size: number } = inlineBytes(script.text);
  const { layer } = await makeFileLayer(new Map(), context, (placement) =>
    putFile(
      { name: toBytePath(script.name), bytes, size: bytes.size, mode: 0o755 },
      { ...context, placement, base: new Map(), path: "/", owner: null, mode: null },
    ),
  );
  return {
    kind: "bind",
    target: scriptFolder,
    from: { layers: layer === null ? [] : [layer], path: "/" },
    writable: false,
  };
}

async function fileMount(
  mount: Exclude<MountRequest, { readonly kind: "secret" }>,
  target: string,
  context: RunContext,
): Promise<StepMount> {
  if (mount.kind === "tmpfs") return { ...mount, target };
  if (mount.kind === "cache") return { ...mount, target, id: mount.id === "" ? target : mount.id };
  const { from, source, writable } = mount;
  if (from !== null) {
    const layers = await context.layersOf(from);
    return { kind: "bind", target, from: { layers, path: posix.resolve("/", source) }, writable };
  }
  const tree = await context.project();
  // A layer of just these files: what .dockerignore names is not seen, and its digest says what was.
  const { recorder } = context;
  const { layer } = await makeFileLayer(
    new Map(),
    context,
    (placement) =>
      copyFiles(
        { tree, checkout: true, pattern: source === "" ? "." : source, parents: false, exclude: null },
        { ...context, placement, base: new Map(), path: "/source", owner: null, mode: null },
      ).then(() => undefined),
    recorder === undefined ? {} : { record: recorder.layer },
  );
  return { kind: "bind", target, from: { layers: layer === null ? [] : [layer], path: "/source" }, writable };
}

function pick({ mode, uid, gid }: { readonly mode: number; readonly uid: number; readonly gid: number }): {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
} {
  return { mode, uid, gid };
}

function secretOf(
  mount: Extract<MountRequest, { readonly kind: "secret" }>,
  secrets: readonly SecretValue[],
): Uint8Array | undefined {
  const found = secrets.find(({ id }) => id === mount.id);
  if (found !== undefined || !mount.required) return found?.value;
  throw new OperatorError("BUILD_FAILED", `Cannot run the step: the secret "${mount.id}" was not given`, {
    hint: `give it with --secret id=${mount.id},src=FILE or --secret id=${mount.id},env=NAME`,
  });
}

function mountKey(mount: Exclude<StepMount, { readonly kind: "secret" }>): Json {
  if (mount.kind !== "bind") return { ...mount };
  const { from } = mount;
  if ("folder" in from) return { ...mount, from: { folder: from.folder } };
  return { ...mount, from: { layers: from.layers.map(({ diffId }) => diffId), path: from.path } };
}

function historyOf(state: StageState, words: readonly string[]): string {
  // ENV of the same name may have come after it.
  const args = state.args.map((name) => `${name}=${state.variables.get(name) ?? ""}`);
  const prefix = args.length === 0 ? [] : [`|${args.length}`, ...args];
  return `RUN ${[...prefix, ...words].join(" ")} # buildkit`;
}

function layerRecord(layer: StepLayer | null): Json {
  return layer === null ? null : { ...layer, descriptor: { ...layer.descriptor } };
}

async function readRecord(value: unknown, blobs: Blobs): Promise<StepResult | undefined> {
  if (typeof value !== "object" || value === null) return undefined;
  const { layer, aside, network } = value as { layer?: unknown; aside?: unknown; network?: StepResult["network"] };
  const layers = await Promise.all([readLayer(layer, blobs), readLayer(aside, blobs)]);
  const [made, left] = layers;
  if (made === undefined || left === undefined) return undefined;
  const { sentPackets = 0, receivedBytes = 0 } = network ?? {};
  return { layer: made, aside: left, network: { sentPackets, receivedBytes } };
}

async function readLayer(value: unknown, blobs: Blobs): Promise<StepLayer | null | undefined> {
  if (value === null) return null;
  const { descriptor, diffId, aside } = (value ?? {}) as Partial<StepLayer>;
  const digest: unknown = descriptor?.digest;
  if (descriptor === undefined || !isName(digest) || !isName(diffId)) return undefined;
  if ((await blobs.stat(digest)) !== descriptor.size) return undefined;
  return { descriptor, diffId, ...(aside === true ? { aside } : {}) };
}

function isName(value: unknown): value is Digest {
  return typeof value === "string" && isDigest(value);
}
