/**
 * The process that makes load or probes, apart from what is measured. Its parent speaks with it over IPC; it ends with
 * its parent.
 */
import { runProbe, type ProbeConfig, type RunningProbe, type Takeover } from "./probe.ts";
import type { LoadConfig, LoadReport } from "./protocol.ts";
import { runLoad, type RunningLoad } from "./run.ts";

export type Request =
  | { readonly kind: "load"; readonly config: LoadConfig }
  | { readonly kind: "probe"; readonly config: ProbeConfig }
  | { readonly kind: "window" }
  | { readonly kind: "settle" }
  | { readonly kind: "mark" }
  | { readonly kind: "takeover"; readonly content: number; readonly sinceMs: number }
  | { readonly kind: "stop" };

/** One reply to each request, in order. */
export type Reply =
  | { readonly kind: "done" }
  | { readonly kind: "marked"; readonly open: number; readonly ended: number }
  | { readonly kind: "takeover"; readonly takeover: Takeover }
  | { readonly kind: "report"; readonly report: LoadReport };

let load: RunningLoad | undefined;
let probe: RunningProbe | undefined;

async function serve(request: Request): Promise<Reply> {
  switch (request.kind) {
    case "load":
      load = runLoad(request.config);
      await load.warm;
      return { kind: "done" };
    case "probe":
      probe = runProbe(request.config);
      return { kind: "done" };
    case "window":
      return load === undefined ? { kind: "done" } : { kind: "report", report: load.window() };
    case "settle":
      await load?.settle();
      return { kind: "done" };
    case "mark":
      return load === undefined ? { kind: "done" } : { kind: "marked", ...load.mark() };
    case "takeover":
      return probe === undefined
        ? { kind: "done" }
        : { kind: "takeover", takeover: probe.takeover(request.content, request.sinceMs) };
    case "stop":
      await probe?.stop();
      return load === undefined ? { kind: "done" } : { kind: "report", report: await load.stop() };
  }
}

process.on("disconnect", () => process.exit(0));
// The terminal sends Ctrl-C to the whole group: the parent decides what becomes of the load.
process.on("SIGINT", () => {});
let last: Promise<void> = Promise.resolve();
process.on("message", (request: Request) => {
  last = last
    .then(() => serve(request))
    .then((reply) => void process.send?.(reply))
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
});
