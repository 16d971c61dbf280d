import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../../errors/operator-error.ts";
import { lockFileName } from "../../build/lock-file.ts";
import { placesOf, type Places } from "../../model/places.ts";
import { runQuietly } from "./child.ts";

/**
 * Where a demo or bench lives. Its state folder is its own and stays between runs only for the Debian base (`kept`):
 * ledger, instances and the app's layers begin anew each time.
 */
export interface OwnPlace {
  readonly places: Places;
  /** The folder of the example project; gone with the rest. */
  readonly project: string;
  /** Takes everything down and removes all but the base. */
  clear(): Promise<void>;
}

/** What a second run may take from the first. */
const kept = new Set(["store", "cache", "about.txt", lockFileName]);
const ownerName = "owner.pid";
const markName = "about.txt";
const markText = "A state folder of `bronze demo` or of a bench: each run removes what is in it but the Debian base.\n";

/**
 * Takes a state folder for one run and clears what an earlier run left that was killed.
 *
 * @param launcher the `bronze` command
 * @throws {OperatorError} `LOCKED` when another run has the folder, `ARGUMENT_INVALID` when it holds something else
 */
export async function openPlace(launcher: string, stateDir: string): Promise<OwnPlace> {
  const places = placesOf(stateDir);
  const owner = join(places.state, ownerName);
  await mkdir(places.state, { recursive: true, mode: 0o711 });
  const other = await readFile(owner, "utf8").catch(() => undefined);
  const otherPid = other?.split(" ")[0] ?? "";
  if (other !== undefined && other === (await identityOf(Number(otherPid)))) {
    throw new OperatorError(
      "LOCKED",
      `Cannot use "${places.state}": process ${otherPid} does, one at a time is possible`,
      {
        hint: "wait until it has ended, or name another folder with --state DIR",
      },
    );
  }
  const names = await readdir(places.state);
  if (!names.includes(markName) && names.some((name) => !kept.has(name))) {
    throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${places.state}": it holds what no demo has made`, {
      hint: "name another folder with --state DIR: the demo uses DIR-demo and clears it",
    });
  }
  await writeFile(join(places.state, markName), markText);
  const clear = async () => {
    if ((await readdir(places.state)).some((name) => !kept.has(name) && name !== ownerName)) {
      const { status, output } = await runQuietly(launcher, ["down", "--all", "--state", places.state]);
      // Without its ledger nobody would know any more what still runs.
      if (status !== 0) {
        throw new OperatorError("MACHINE_REFUSED", `Cannot clear "${places.state}": taking it down failed`, {
          hint: `run \`bronze down --all --state ${places.state}\` until it succeeds; \`bronze doctor --repair\` removes leftovers`,
          cause: output.slice(-2_000),
        });
      }
    }
    const project = join(places.state, "project");
    // Which packages the base is made of.
    await rename(join(project, lockFileName), join(places.state, lockFileName)).catch(() => undefined);
    for (const name of await readdir(places.state)) {
      if (kept.has(name)) continue;
      const path = join(places.state, name);
      // Layer images carry the immutable flag.
      await runQuietly("chattr", ["-R", "-f", "-i", path]);
      await rm(path, { recursive: true, force: true });
    }
  };
  await clear();
  await writeFile(owner, (await identityOf(process.pid)) ?? "");
  const project = join(places.state, "project");
  await mkdir(project, { mode: 0o755 });
  await copyFile(join(places.state, lockFileName), join(project, lockFileName)).catch(() => undefined);
  return { places, project, clear };
}

/** A process's number and start time, which no other process shares; undefined when it is gone. */
async function identityOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  const startedAt = text?.slice(text.lastIndexOf(")")).split(" ")[20];
  return startedAt === undefined ? undefined : `${pid} ${startedAt}`;
}
