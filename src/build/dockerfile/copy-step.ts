import { fromBytePath, toBytePath } from "../../image/tar-entry.ts";
import { isDigest, type Digest, type Json } from "../../model/canonical.ts";
import type { StepLayer } from "../../ports/step-runner.ts";
import { openImageTree } from "../layer/image-tree.ts";
import type { DownloadFact, Recorder } from "../evidence/recorder.ts";
import type { BaseTree } from "../layer/base-tree.ts";
import { skipRule } from "../layer/ignore.ts";
import type { Owner, Placement } from "../layer/placement.ts";
import type { SourceFile, SourceTree } from "../layer/source-tree.ts";
import { checkSources, isWebAddress } from "./addresses.ts";
import { openArchive } from "./archive.ts";
import { copyFiles, putFile, targetPath, type CopyTarget } from "./copy.ts";
import { download } from "./download.ts";
import {
  imageLayers,
  makeFileLayer,
  ownerOptions,
  placeFolders,
  rememberedLayer,
  treeBelow,
  type FileLayer,
  type LayerPlace,
} from "./file-layer.ts";
import { inlineBytes } from "./inline-bytes.ts";
import type { CopyInstruction } from "./instruction.ts";
import { readModeChange, type ModeChange } from "./modes.ts";
import { resolveOwner } from "./owner.ts";
import { InstructionProblem } from "./problems.ts";
import { heredocText } from "./source-text.ts";
import type { StageState } from "./stage-state.ts";
import { expandText } from "./words.ts";

export interface CopyContext extends LayerPlace {
  readonly escape: string;
  /** The project's files. */
  readonly project: () => Promise<SourceTree>;
  /** The layers of what `--from` or `from=` names in this stage. */
  readonly layersOf: (name: string) => Promise<readonly StepLayer[]>;
  readonly note: (text: string) => void;
  /** Whether the stage's layers are the image's. */
  readonly isPublished: boolean;
  /** The project's folder. */
  readonly projectDir: string;
  readonly recorder?: Recorder | undefined;
}

/** The layer, the line of history, and what was fetched for it. */
interface CopiedLayer extends FileLayer {
  readonly history: string;
  readonly downloads: readonly DownloadFact[];
}

interface FillContext extends CopyContext {
  readonly downloads: DownloadFact[];
}

/** COPY or ADD with its variables put in. */
interface PreparedCopy extends CopyInstruction {
  readonly path: string;
  readonly change: ModeChange | null;
  readonly digest: Digest | null;
  readonly contents: readonly { readonly name: string; readonly text: string }[];
}

/**
 * Makes the layer of a COPY or ADD.
 *
 * @throws {InstructionProblem} {SyntaxError} {OperatorError} `BUILD_FAILED`, `VERIFICATION_FAILED`
 */
export async function carryOutCopy(
  state: StageState,
  instruction: CopyInstruction,
  context: CopyContext,
): Promise<CopiedLayer> {
  const downloads: DownloadFact[] = [];
  const copy = prepare(state, instruction, context.escape);
  const history = historyOf(copy);
  const owner = copy.chown === null ? null : await resolveOwner(copy.chown, imageLayers(state), ownerOptions(context));
  const made = async (from: SourceTree | null): Promise<FileLayer> => {
    const base: BaseTree = copy.link ? new Map() : await treeBelow(state, context);
    return makeFileLayer(
      base,
      context,
      async (placement) => {
        if (!copy.link) await placeFolders(state, base, placement, context);
        const target = { base, placement, owner, mode: copy.change, path: copy.path, ...context };
        await fill(copy, from, target, { ...context, downloads });
      },
      {
        isPublished: context.isPublished,
        ...(from === null ? { step: [context.projectDir, copy.path, history] } : {}),
        ...(from === null && context.recorder !== undefined ? { record: context.recorder.layer } : {}),
      },
    );
  };
  if (copy.from === null) return { ...(await made(null)), history, downloads };
  const layers = await context.layersOf(copy.from);
  const { sources, path, chmod, link, parents, exclude } = copy;
  const key: Json = {
    version: 1,
    from: layers.map(({ diffId }) => diffId),
    base: link ? null : state.image.diffIds,
    folders: state.folders.map((folder) => ({ ...folder })),
    owner: owner === null ? null : { ...owner },
    epoch: context.epoch,
    sources,
    path,
    chmod,
    parents,
    exclude,
  };
  const layer = await rememberedLayer("copies", key, context, async () =>
    made(await openImageTree(layers, ownerOptions(context))),
  );
  return { ...layer, history, downloads };
}

function prepare(state: StageState, instruction: CopyInstruction, escape: string): PreparedCopy {
  const expand = (text: string): string => expandText(text, state.variables, { escape });
  const optional = (text: string | null): string | null => (text === null ? null : expand(text));
  const keyword = instruction.kind.toUpperCase();
  const sources = instruction.sources.map(expand);
  const chmod = optional(instruction.chmod);
  const chown = optional(instruction.chown);
  const checksum = optional(instruction.checksum);
  checkSources(instruction.kind, sources);
  if (checksum !== null && (sources.length !== 1 || !isWebAddress(sources[0] ?? "")))
    throw new InstructionProblem("--checksum is for one http or https address");
  if (checksum !== null && !isDigest(checksum))
    throw new InstructionProblem(`--checksum=${checksum.slice(0, 80)} is not sha256: and 64 hex digits`);
  const target = expand(instruction.target);
  if (target === "") throw new InstructionProblem(`the target of ${keyword} is empty: the variable in it is not set`);
  return {
    ...instruction,
    sources,
    target,
    chown: chown === "" ? null : chown,
    chmod,
    exclude: instruction.exclude.map(expand),
    path: targetPath(state.image.config.WorkingDir ?? "/", target),
    change: chmod === null || chmod === "" ? null : readModeChange(chmod),
    digest: checksum,
    contents: instruction.documents.map((document) => {
      const text = heredocText(document);
      return { name: document.name, text: document.expand ? expandDocument(text, state, escape) : text };
    }),
  };
}

/** Variables are put in; quotes are text here, and stay. */
function expandDocument(text: string, state: StageState, escape: string): string {
  return expandText(text, state.variables, { escape, plainQuotes: true });
}

async function fill(
  copy: PreparedCopy,
  from: SourceTree | null,
  target: CopyTarget & { readonly placement: Placement; readonly owner: Owner | null },
  context: FillContext,
): Promise<void> {
  const needsFolder = !copy.parents && copy.sources.length + copy.contents.length > 1 && !target.path.endsWith("/");
  if (needsFolder && !target.placement.isFolder(targetFolder(target)))
    throw new InstructionProblem(`several files need a folder: write ${copy.target}/`);
  const exclude = copy.exclude.length === 0 ? null : skipRule(copy.exclude);
  for (const source of copy.sources) {
    if (isWebAddress(source)) {
      await addUrl(copy, source, target, context);
      continue;
    }
    const tree = from ?? (await context.project());
    const instead = (file: SourceFile): Promise<boolean> =>
      unpackInto({ name: fromBytePath(file.path), bytes: tree.bytes(file), size: file.size }, target, context);
    const count = await copyFiles(
      {
        tree,
        checkout: from === null,
        pattern: source,
        parents: copy.parents,
        exclude,
        ...(copy.kind === "add" && copy.unpack !== false ? { instead } : {}),
      },
      target,
    );
    if (count === 0) context.note(`${copy.kind.toUpperCase()} ${source}: nothing matches it`);
  }
  for (const { name, text } of copy.contents) {
    const bytes = inlineBytes(text);
    putFile({ name: toBytePath(name), bytes, size: bytes.size, mode: 0o644 }, target);
  }
}

function targetFolder(target: CopyTarget): string {
  return toBytePath(target.path.slice(1));
}

async function addUrl(copy: PreparedCopy, address: string, target: CopyTarget, context: FillContext): Promise<void> {
  const { store: blobs, cache, signal } = context;
  const file = await download(address, copy.digest, { blobs, cache, signal });
  context.downloads.push({ address, digest: file.digest, size: file.size });
  if (copy.digest === null)
    context.note(`ADD ${address}: it was ${file.digest}; --checksum=${file.digest} keeps it that`);
  if (copy.unpack === true && (await unpackInto({ ...file, name: address }, target, context))) return;
  putFile({ name: toBytePath(file.name), bytes: file.bytes, size: file.size, mode: 0o600 }, target);
}

async function unpackInto(
  file: Parameters<typeof openArchive>[0],
  target: CopyTarget,
  context: CopyContext,
): Promise<boolean> {
  const tree = await openArchive(file, ownerOptions(context));
  if (tree === undefined) return false;
  const folder = { ...target, path: `${target.path.replace(/\/$/, "")}/`, mode: null };
  await copyFiles({ tree, checkout: false, pattern: "/", parents: false, exclude: null }, folder);
  return true;
}

function historyOf(copy: PreparedCopy): string {
  const flags = [
    copy.parents ? ["--parents"] : [],
    copy.chown === null ? [] : [`--chown=${copy.chown}`],
    copy.chmod === null ? [] : [`--chmod=${copy.chmod}`],
  ].flat();
  const documents = copy.contents.map(({ name }) => `<<${name}`);
  return `${[copy.kind.toUpperCase(), ...flags, ...copy.sources, ...documents, copy.target].join(" ")} # buildkit`;
}
