import { closeSync, constants, createWriteStream, openSync, readdirSync, readlinkSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import type { InstanceName } from "../../model/names.ts";
import type { Clock } from "../../ports/clock.ts";
import { formatLogChunk, type LogStream } from "./log-lines.ts";
import { isAlive, waitGone } from "../../linux/processes.ts";
import { instancePaths, readBirth, readExit, type Folders, type InstanceBirth, type InstancePaths } from "./record.ts";

/** Notices at once when a supervisor ends before its instance, and then reads what the instance writes in its place. */
export interface SupervisorWatch {
  /** Watches a made instance from now on. */
  add(name: InstanceName): void;
  /** The instance is to be removed. */
  forget(name: InstanceName): void;
  /** Calls back when a supervisor ended without word of its instance's end, and when that end comes. */
  onLost(listener: (name: InstanceName) => void): () => void;
  stop(): void;
}

interface Watched {
  /** Ends with the supervisor. */
  readonly supervisor: Socket;
  /** Read ends of the instance's output, held but not read while its supervisor does. */
  readonly output: Map<LogStream, number>;
  readonly relays: Socket[];
}

/** How long a process may take from closing its files to its end, in ms. */
const endMs = 10_000;
/** Most that is written to the log of an instance whose supervisor is gone: nothing rotates it any more. */
const mostRelayedBytes = 10 * 1024 * 1024;

/**
 * Without a reader a write to the output's pipe gives EPIPE, which ends many programs. So this process holds the pipes
 * open beside conmon, and reads them when conmon has ended, until the instance is replaced.
 */
export function watchSupervisors(folders: Folders, clock: Pick<Clock, "wall">): SupervisorWatch {
  const listeners = new Set<(name: InstanceName) => void>();
  const watched = new Map<InstanceName, Watched>();

  function tell(name: InstanceName): void {
    for (const listener of listeners) listener(name);
  }

  function add(name: InstanceName): void {
    const paths = instancePaths(folders, name);
    const birth = readBirth(paths);
    if (birth === undefined || watched.has(name)) return;
    // conmon keeps both ends of this named pipe; nobody else writes to it, since no instance has a terminal.
    const supervisor = openForReading(join(paths.bundle, "winsz"));
    if (supervisor === undefined) return;
    const one: Watched = { supervisor: readingSocket(supervisor), output: holdOutput(birth), relays: [] };
    watched.set(name, one);
    one.supervisor.once("close", () => void supervisorEnded(name, one, birth, paths));
    // A pipe that lost its writers before it was opened never tells so.
    if (isAlive(birth.supervisor)) one.supervisor.resume();
    else one.supervisor.destroy();
  }

  async function supervisorEnded(name: InstanceName, one: Watched, birth: InstanceBirth, paths: InstancePaths) {
    // The kernel closes what a process has open some time before it counts as ended.
    if (!(await waitGone(birth.supervisor, endMs))) return;
    if (watched.get(name) !== one || readExit(paths) !== undefined) return;
    relay(name, one, birth, paths);
    tell(name);
  }

  function relay(name: InstanceName, one: Watched, birth: InstanceBirth, paths: InstancePaths): void {
    const log = createWriteStream(paths.log, { flags: "a", mode: 0o640 });
    let leftBytes = mostRelayedBytes;
    // A disk that is full must not keep the instance from going on: what it writes is then dropped.
    log.on("error", () => (leftBytes = 0));
    let open = one.output.size;
    for (const [stream, fd] of one.output) {
      const socket = readingSocket(fd);
      one.relays.push(socket);
      socket.on("data", (chunk: Buffer) => {
        leftBytes -= chunk.length;
        if (leftBytes <= 0 || log.write(formatLogChunk(new Date(clock.wall()), stream, chunk))) return;
        socket.pause();
        const goOn = (): void => void socket.resume();
        log.once("drain", goOn).once("close", goOn);
      });
      socket.once("close", () => {
        open -= 1;
        if (open > 0) return;
        log.end();
        // Its output is closed: as a rule it has ended, or is about to count as ended, and nobody else tells.
        void waitGone(birth.process, endMs).then(() => watched.get(name) === one && tell(name));
      });
    }
    one.output.clear();
  }

  function forget(name: InstanceName): void {
    const one = watched.get(name);
    watched.delete(name);
    one?.supervisor.destroy();
    for (const socket of one?.relays ?? []) socket.destroy();
    for (const fd of one?.output.values() ?? []) closeSync(fd);
  }

  return {
    add,
    forget,
    onLost(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      for (const name of watched.keys()) forget(name);
    },
  };
}

/** The instance's own descriptor leads to its pipe as well as conmon's does, so this works when conmon is gone. */
function holdOutput(birth: InstanceBirth): Map<LogStream, number> {
  const held = new Map<LogStream, number>();
  for (const stream of ["stdout", "stderr"] as const) {
    const wanted = birth.output[stream];
    const path = [birth.process.pid, birth.supervisor.pid]
      .flatMap((pid) => descriptors(pid))
      .find((descriptor) => linkOf(descriptor) === wanted);
    const fd = path === undefined ? undefined : openForReading(path);
    if (fd !== undefined) held.set(stream, fd);
  }
  return held;
}

/** What an instance's standard output and error lead to, as `/proc` names it: `pipe:[12345]`. */
export function outputOf(pid: number): InstanceBirth["output"] {
  return { stdout: linkOf(`/proc/${pid}/fd/1`) ?? "", stderr: linkOf(`/proc/${pid}/fd/2`) ?? "" };
}

function descriptors(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => `/proc/${pid}/fd/${name}`);
  } catch {
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function openForReading(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

function readingSocket(fd: number): Socket {
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.on("error", () => {});
  socket.unref();
  return socket;
}
