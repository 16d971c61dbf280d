import { readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** A command line to run under surroundings of its own, and what is different there. */
export interface Surroundings {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: { readonly [name: string]: string | undefined };
  /** For people: `time zone Asia/Kathmandu`. */
  readonly varied: readonly string[];
}

const script = join(import.meta.dirname, "surroundings.sh");

/** Options of setpriv(1): what it runs ends when this process does, however that ends. */
export const endsWithUs = ["--pdeathsig", "TERM"];

/**
 * The same command as if somebody else gave it on another machine: other time zone, language, umask, host name, one CPU,
 * another day where libfaketime is installed.
 */
export function elsewhere(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Surroundings {
  const zone = env["TZ"] === "Asia/Kathmandu" ? "America/St_Johns" : "Asia/Kathmandu";
  const language = env["LC_ALL"] === "tr_TR.UTF-8" ? "C" : "tr_TR.UTF-8";
  const umask = process.umask() === 0o077 ? "022" : "077";
  const host = hostname() === "elsewhere" ? "anotherplace" : "elsewhere";
  const cpu = firstCpu();
  const clock = findClock();
  return {
    program: "unshare",
    args: [
      ["--uts"],
      ["setpriv", ...endsWithUs],
      ["taskset", "--cpu-list", cpu],
      ["sh", script, host, umask],
      clock === undefined
        ? [program]
        : ["env", ...clockSettings, `LD_PRELOAD=${clock}`, program, "--import", realClockForChildren],
      args,
    ].flat(),
    env: { ...env, TZ: zone, LANG: language, LC_ALL: language, LANGUAGE: language },
    varied: [
      `time zone ${zone}`,
      `language ${language}`,
      `umask ${umask}`,
      `host name ${host}`,
      "one CPU",
      clock === undefined
        ? "time of day (libfaketime is not installed: only seconds later)"
        : `${laterHours} hours later`,
    ],
  };
}

/** Another day and another hour, and nothing that was signed has run out. */
const laterHours = 26;
/** The monotonic clock stays: timers run on it. */
const clockSettings = [`FAKETIME=+${laterHours}h`, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
/** Programs that the build starts would trip over the library, and steps of the image do not have it. */
const realClockForChildren = "data:text/javascript,delete process.env.LD_PRELOAD";

function findClock(): string | undefined {
  for (const triplet of listNames("/usr/lib")) {
    const library = `/usr/lib/${triplet}/faketime/libfaketimeMT.so.1`;
    if (listNames(`/usr/lib/${triplet}/faketime`).includes("libfaketimeMT.so.1")) return library;
  }
  return undefined;
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** One that this process may use. */
function firstCpu(): string {
  const status = readFileSync("/proc/self/status", "utf8");
  return /^Cpus_allowed_list:\s*([0-9]+)/m.exec(status)?.[1] ?? "0";
}
