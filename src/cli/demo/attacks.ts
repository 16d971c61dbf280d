import { spawn } from "node:child_process";
import { appendFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EnvironmentStatus, InstanceStatus } from "../../model/api/status.ts";
import type { Places } from "../../model/places.ts";
import { formatDuration } from "../../model/quantities.ts";
import { runQuietly } from "./child.ts";
import type { Product } from "./product.ts";
import type { DemoResult } from "./rows.ts";
import type { Stage } from "./rollouts.ts";

type Tamper = DemoResult["tamper"][number];

/** Longest time until what was done to an instance must be undone, in ms. */
const undoMs = 20_000;
const intruder = ["node", "-e", "setTimeout(() => {}, 600000)"] as const;

/** A live instance to try things on. */
async function victimOf(product: Product): Promise<InstanceStatus & { readonly pid: number }> {
  const { instances } = await product.until("all instances are healthy", undoMs, isWhole);
  const victim = instances.find(({ role, pid }) => role === "live" && pid !== null);
  if (victim === undefined || victim.pid === null) throw new Error("no live instance has a process");
  return { ...victim, pid: victim.pid };
}

function isWhole({ wanted, healthy, figures, instances }: EnvironmentStatus): boolean {
  return healthy === wanted && figures.config_drift_pct === 0 && instances.every(({ role }) => role !== "ending");
}

/** Puts a second process into an instance: the figure rises, the instance is replaced, the figure is 0 again. */
export async function drift({ screen, product }: Stage): Promise<DemoResult["drift"]> {
  const victim = await victimOf(product);
  const before = (await product.status()).figures.config_drift_pct ?? Number.NaN;
  screen.note(`config_drift_pct is ${before} %`);
  const entered = enter(victim.pid, ["--uts", "--ipc", "--net"], screen.command);
  try {
    const startedAt = performance.now();
    const drifted = await product.until(
      "the second process is seen",
      undoMs,
      ({ figures }) => (figures.config_drift_pct ?? 0) > 0,
    );
    const during = drifted.figures.config_drift_pct ?? Number.NaN;
    const finding = drifted.instances.find(({ name }) => name === victim.name)?.drift[0] ?? "";
    screen.note(`config_drift_pct is ${during} %: ${victim.name}: ${finding}`);
    const after = await product.until(
      "the instance is replaced",
      undoMs,
      (status) => isWhole(status) && !has(status, victim.name),
    );
    const seconds = formatDuration(performance.now() - startedAt);
    const end = after.figures.config_drift_pct ?? Number.NaN;
    screen.note(`config_drift_pct is ${end} %: ${replacementFor(victim.name, after)}`);
    screen.promise(
      before === 0 && during > 0 && end === 0,
      `an instance that differs from its release is replaced, never mended: ${seconds}`,
    );
    return { before, during, after: end };
  } finally {
    entered.end();
  }
}

/** Three attempts to change what runs, and what stopped or undid each. */
export async function tamper(stage: Stage, places: Places): Promise<readonly Tamper[]> {
  const results = [await writeToRoot(stage), await writeToImage(stage, places), await enterInstance(stage)];
  return results;
}

async function writeToRoot({ screen, product }: Stage): Promise<Tamper> {
  const attempt = "write to an instance's root file system";
  const { pid } = await victimOf(product);
  const path = `/proc/${pid}/root/app/server.js`;
  screen.command(`echo "// changed" >> ${path}`);
  const refusal = await refusalOf(appendFile(path, "// changed\n"));
  screen.promise(refusal !== undefined, `${attempt}: ${refusal ?? "it was written"}`);
  return { attempt, outcome: refusal ?? "not stopped: it was written" };
}

async function writeToImage({ screen }: Stage, places: Places): Promise<Tamper> {
  const attempt = "write to an artifact's image file";
  const path = await imageFile(join(places.state, "layers"));
  screen.command(`echo changed >> ${path}`);
  const refusal = await refusalOf(appendFile(path, "changed\n"));
  screen.promise(refusal !== undefined, `${attempt}: ${refusal ?? "it was written"}`);
  return { attempt, outcome: refusal ?? "not stopped: it was written" };
}

async function enterInstance({ screen, product }: Stage): Promise<Tamper> {
  const attempt = "enter an instance";
  const victim = await victimOf(product);
  const entered = enter(victim.pid, [], screen.command);
  try {
    const startedAt = performance.now();
    const after = await product.until(
      "the entered instance is replaced",
      undoMs,
      (status) => isWhole(status) && !has(status, victim.name),
    );
    const outcome = `undone after ${formatDuration(performance.now() - startedAt)}: ${replacementFor(victim.name, after)}`;
    const gone = await entered.gone(1000);
    screen.promise(
      gone,
      `${attempt}: ${outcome}${gone ? ", and what had entered ended with it" : "; what had entered still runs"}`,
    );
    return { attempt, outcome };
  } finally {
    entered.end();
  }
}

function has({ instances }: EnvironmentStatus, name: string): boolean {
  return instances.some((instance) => instance.name === name);
}

function replacementFor(name: string, { instances }: EnvironmentStatus): string {
  const [youngest] = instances.filter(({ role }) => role === "live").toSorted((a, b) => a.ageMs - b.ageMs);
  return `${name} was replaced by ${youngest?.name ?? "nothing"}`;
}

interface Entered {
  /** Whether the process ends within `ms`. */
  gone(ms: number): Promise<boolean>;
  end(): void;
}

/** Runs a second process in an instance. Its root is named too: in a chroot the namespace's own is another. */
function enter(pid: number, namespaces: readonly string[], show: (text: string) => void): Entered {
  const args = ["--target", String(pid), ...namespaces, "--mount", "--pid", "--root", "--wd", "--", ...intruder];
  show(`nsenter ${args.map((word) => (/[^\w./:-]/.test(word) ? `'${word}'` : word)).join(" ")} &`);
  const child = spawn("nsenter", args, { stdio: "ignore", detached: true });
  const ended = new Promise<boolean>((resolve) => {
    child.once("exit", () => resolve(true));
    child.once("error", () => resolve(true));
  });
  return {
    gone: (ms) => Promise.race([ended, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ms))]),
    end: () => void child.kill("SIGKILL"),
  };
}

/** What refused a write, in words; undefined when it went through. */
async function refusalOf(write: Promise<void>): Promise<string | undefined> {
  try {
    await write;
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EROFS") return "refused by the kernel: read-only file system (EROFS)";
    if (code === "EPERM") return "refused by the kernel: the image carries the immutable flag (EPERM)";
    return `refused by the kernel: ${code ?? String(error)}`;
  }
}

/** The largest layer image, or a file of an unpacked layer where this kernel has no EROFS. */
async function imageFile(folder: string): Promise<string> {
  let largest: { readonly path: string; readonly size: number } | undefined;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path);
    if (found.isFile() && found.size > (largest?.size ?? -1)) largest = { path, size: found.size };
  }
  if (largest !== undefined) return largest.path;
  const { output } = await runQuietly("find", [folder, "-type", "f", "-name", "server.js", "-print", "-quit"]);
  if (output.trim() === "") throw new Error(`no layer image in ${folder}`);
  return output.trim();
}
