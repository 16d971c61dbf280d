import { OperatorError } from "../../errors/operator-error.ts";
import { mediaTypes } from "../../image/media-types.ts";
import { parentOf, toBytePath } from "../../image/tar-entry.ts";
import { writeTar, type TarSource } from "../../image/tar-write.ts";
import type { StepLayer, StepOptions, StepRequest, StepRunner } from "../../ports/step-runner.ts";

/** A runner of steps that runs nothing: it does what the last word of the command says, and keeps what it was asked. */
export interface MemorySteps extends StepRunner {
  readonly requests: readonly StepRequest[];
  /** Most steps that were under way at one moment. */
  readonly most: () => number;
}

/**
 * `put PATH TEXT` makes a file, `aside PATH TEXT` one that is set aside, `fail N` fails, `wait` waits for its end; all with
 * ` && ` between them. Anything else does nothing.
 */
export function createMemorySteps(): MemorySteps {
  const requests: StepRequest[] = [];
  let running = 0;
  let most = 0;
  return {
    requests,
    most: () => most,
    async run(request, options) {
      requests.push(request);
      most = Math.max(most, (running += 1));
      try {
        const actions = (request.command.at(-1) ?? "").split(" && ").map((action) => action.trim().split(" "));
        const put = files(actions, "put");
        const aside = files(actions, "aside");
        for (const [verb, value] of actions) {
          if (verb === "print") options.output(Buffer.from(`${value}\n`));
          if (verb === "wait") await ended(options);
          if (verb === "fail")
            throw new OperatorError("BUILD_FAILED", `Cannot run the step: it ended with ${value}`, {
              hint: "see its output",
              details: { status: Number(value) },
            });
        }
        // Two steps that could run beside each other do.
        await new Promise((resolve) => setTimeout(resolve, 20));
        return {
          layer: put.length === 0 ? null : await layerOf(put, options),
          aside: aside.length === 0 ? null : { ...(await layerOf(aside, options)), aside: true },
          network: { sentPackets: 3, receivedBytes: 4 },
        };
      } finally {
        running -= 1;
      }
    },
    close: () => Promise.resolve(),
  };
}

function files(actions: readonly (readonly string[])[], verb: string): readonly (readonly [string, string])[] {
  return actions.flatMap(([word, path = "", ...text]) => (word === verb ? [[path, text.join(" ")] as const] : []));
}

async function layerOf(put: readonly (readonly [string, string])[], { blobs }: StepOptions): Promise<StepLayer> {
  const sources = new Map<string, TarSource>();
  const common = { uid: 0, gid: 0, mtime: 5, target: "" };
  for (const [path, text] of put) {
    const name = toBytePath(path.slice(1));
    for (let above = parentOf(name); above !== ""; above = parentOf(above))
      sources.set(above, { entry: { ...common, path: above, kind: "directory", mode: 0o755, size: 0 } });
    const bytes = Buffer.from(text);
    sources.set(name, {
      entry: { ...common, path: name, kind: "file", mode: 0o644, size: bytes.byteLength },
      content: () => [bytes],
    });
  }
  const sorted = [...sources.values()].sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1));
  const { digest, size } = await blobs.write(Buffer.concat([...writeTar(sorted)].map((piece) => Buffer.from(piece))));
  return { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: digest };
}

function ended({ signal }: StepOptions): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new OperatorError("INTERRUPTED", "Cannot go on", { hint: "it was ended" }));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
