import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/**
 * Values that may be in one place only, and how else they could be written: base64, hexadecimal, and hashes, which a short
 * value could be guessed from.
 */
export function formsOf(canaries: readonly string[]): readonly string[] {
  return canaries.flatMap((canary) => {
    // What stands before moves base64's letters: three ways, each without what is shared with its neighbours.
    const base64 = [0, 1, 2].map((before) =>
      Buffer.from(`${"x".repeat(before)}${canary}`)
        .toString("base64")
        .slice(before === 0 ? 0 : 4, -4),
    );
    const hashes = ["sha1", "sha256"].flatMap((name) => {
      const hash = createHash(name).update(canary).digest();
      return [hash.toString("hex"), hash.toString("base64").slice(0, -2)];
    });
    return [canary, ...base64, Buffer.from(canary).toString("hex"), ...hashes];
  });
}

/** Files below folders that hold any of these texts; other file systems that are mounted there are left out. */
export function filesWith(forms: readonly string[], folders: readonly string[]): readonly string[] {
  const patterns = join(tmpdir(), `.patterns-${process.pid}`);
  writeFileSync(patterns, `${forms.join("\n")}\n`, { mode: 0o600 });
  try {
    const grep = ["-exec", "grep", "-l", "-a", "-F", "-f", patterns, "{}", "+"];
    const { stdout, error } = spawnSync("find", [...folders, "-xdev", "-type", "f", ...grep], {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error !== undefined) throw error;
    return stdout.split("\n").filter((line) => line !== "");
  } finally {
    rmSync(patterns);
  }
}

/**
 * Looks at the command lines and environments of all processes again and again until it is stopped; those of instances,
 * and those that `mayKnow` names by their command line, may know.
 */
export function watchProcesses(
  t: Pick<TestContext, "after">,
  forms: readonly string[],
  mayKnow: (command: string) => boolean,
): { stop(): readonly string[] } {
  const found = new Set<string>();
  const own = namespaceOf(process.pid);
  const look = (): void => {
    for (const pid of readdirSync("/proc")) {
      if (!/^[0-9]+$/.test(pid) || Number(pid) === process.pid || namespaceOf(pid) !== own) continue;
      const command = readOrEmpty(`/proc/${pid}/cmdline`);
      const environment = mayKnow(command.replaceAll("\0", " ")) ? "" : readOrEmpty(`/proc/${pid}/environ`);
      if (forms.some((form) => command.includes(form))) found.add(`arguments of ${command.slice(0, 60)}`);
      if (forms.some((form) => environment.includes(form)))
        found.add(`environment of ${command.replaceAll("\0", " ").slice(0, 100)}`);
    }
  };
  const timer = setInterval(look, 100);
  t.after(() => clearInterval(timer));
  return {
    stop() {
      clearInterval(timer);
      look();
      return [...found];
    },
  };
}

function namespaceOf(pid: string | number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return "";
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
