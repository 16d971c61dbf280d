import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launcher } from "../lib/bronze.ts";
import { round, type BenchOptions, type BenchResult } from "../lib/figures.ts";
import { watchPeak, type Peak } from "../lib/memory.ts";
import { needs, require } from "../lib/packages.ts";
import { bronzeSide } from "./sides.ts";

const pieceBytes = 16 * 2 ** 20;
const pieces = 128;

/** What makes a layer of 2 GB, copied from the project or written by a step. */
const kinds = {
  COPY: "FROM scratch\nCOPY busybox /bin/sh\nCOPY big /big\n",
  RUN: `FROM scratch
COPY busybox /bin/sh
COPY piece /piece
RUN i=0; while [ $i -lt ${pieces} ]; do busybox cat /piece; i=$((i + 1)); done >/big
`,
};

/** Peak of the resident memory of all of Bronze's processes while it builds a layer of 2 GB. */
export async function memory({ say }: BenchOptions): Promise<BenchResult> {
  await require(needs.busybox);
  const folder = await mkdtemp(join(tmpdir(), "bronze-bench-memory-"));
  try {
    const peaks = new Map<string, Peak>();
    for (const [kind, dockerfile] of Object.entries(kinds)) {
      const project = join(folder, kind);
      await mkdir(project);
      await writeFile(join(project, "bronze.yaml"), "app: big\nbuild: { dockerfile: Dockerfile }\n");
      await writeFile(join(project, "Dockerfile"), dockerfile);
      await copyFile(needs.busybox.path, join(project, "busybox"));
      await chmod(join(project, "busybox"), 0o755);
      await writeFile(join(project, "piece"), randomBytes(pieceBytes));
      if (kind === "COPY") await writeBig(join(project, "big"));
      say(`building a layer of 2 GB by ${kind}`);
      peaks.set(kind, await peakOfBuild(project));
      await rm(project, { recursive: true });
    }
    const most = Math.max(...[...peaks.values()].map(({ bytes }) => bytes));
    return {
      figures: [
        { name: "build_2gb_peak_mb", value: round(most / 1e6), unit: "MB", runs: peaks.size, goal: { atMost: 250 } },
      ],
      notes: [...peaks].map(
        ([kind, { bytes, holders }]) =>
          `2 GB by ${kind}: ${round(bytes / 1e6)} MB at most, of it ${holders.map((one) => `${one.name} ${round(one.bytes / 1e6)}`).join(", ")}`,
      ),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeBig(path: string): Promise<void> {
  const file = await open(path, "wx");
  try {
    for (let number = 0; number < pieces; number += 1) await file.write(randomBytes(pieceBytes));
  } finally {
    await file.close();
  }
}

async function peakOfBuild(project: string): Promise<Peak> {
  const bronze = await bronzeSide();
  try {
    const child = spawn(launcher, ["build"], {
      cwd: project,
      env: { ...process.env, BRONZE_STATE: bronze.state },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (text: Buffer) => void (said = (said + text.toString()).slice(-2000)));
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    const end = watchPeak(child.pid ?? 0);
    const status = await ended.finally(end);
    if (status !== 0) throw new Error(`bronze build ended with status ${status}\n${said}`);
    return end();
  } finally {
    await bronze.stop();
  }
}
