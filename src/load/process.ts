import { fork, type ChildProcess } from "node:child_process";
import type { Reply, Request } from "./main.ts";
import type { ProbeConfig, Takeover } from "./probe.ts";
import type { LoadConfig, LoadReport } from "./protocol.ts";

/** Load in a process of its own. */
export interface Load {
  /** Reports what was counted and begins to count anew. */
  window(): Promise<LoadReport>;
  /** Resolves when every request that is open now has ended. */
  settle(): Promise<void>;
  /** Notes how many requests are open; tells also how many have ended in this window. */
  mark(): Promise<{ readonly open: number; readonly ended: number }>;
  /** Lets open requests end and reports. */
  stop(): Promise<LoadReport>;
  /** Ends it at once, without a report. */
  kill(): void;
}

/** A prober in a process and session of its own. */
export interface Probe {
  readonly pid: number | undefined;
  takeover(content: number, sinceMs: number): Promise<Takeover>;
  stop(): Promise<void>;
  kill(): void;
}

/**
 * Starts load; resolves when every client has been answered once.
 *
 * @param main path of `src/load/main.ts`, run from source
 */
export async function startLoad(main: string, config: LoadConfig): Promise<Load> {
  const { ask, kill } = startChild(main);
  await ask({ kind: "load", config });
  const report = async (kind: "window" | "stop"): Promise<LoadReport> => {
    const reply = await ask({ kind });
    if (reply.kind !== "report") throw new Error(`the load process answered ${reply.kind} instead of its report`);
    return reply.report;
  };
  return {
    window: () => report("window"),
    settle: async () => void (await ask({ kind: "settle" })),
    mark: async () => {
      const reply = await ask({ kind: "mark" });
      if (reply.kind !== "marked") throw new Error(`the load process answered ${reply.kind} instead of its mark`);
      return reply;
    },
    stop: async () => {
      const last = await report("stop");
      kill();
      return last;
    },
    kill,
  };
}

/** Starts a prober. */
export async function startProbe(main: string, config: ProbeConfig): Promise<Probe> {
  const { pid, ask, kill } = startChild(main);
  await ask({ kind: "probe", config });
  return {
    pid,
    takeover: async (content, sinceMs) => {
      const reply = await ask({ kind: "takeover", content, sinceMs });
      if (reply.kind !== "takeover") throw new Error(`the prober answered ${reply.kind} instead of the takeover`);
      return reply.takeover;
    },
    stop: async () => {
      await ask({ kind: "stop" });
      kill();
    },
    kill,
  };
}

function startChild(main: string): {
  pid: number | undefined;
  ask: (request: Request) => Promise<Reply>;
  kill: () => void;
} {
  const child: ChildProcess = fork(main, {
    execArgv: [],
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];
  // Replies come in the order of the requests: the child answers one after the other.
  child.on("message", (reply: Reply) => waiting.shift()?.resolve(reply));
  const ended = (why: string) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the load process ended: ${why}`));
  };
  child.on("exit", (code, signal) => ended(signal ?? `exit status ${code}`));
  child.on("error", (error) => ended(error.message));
  return {
    pid: child.pid,
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (!child.connected) return reject(new Error("the load process has ended"));
        waiting.push({ resolve, reject });
        child.send(request, (error) => {
          if (error !== null) ended(error.message);
        });
      }),
    kill: () => {
      if (child.connected) child.disconnect();
    },
  };
}
