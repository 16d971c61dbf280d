import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { commands } from "../src/cli/commands.ts";

/** Wrong arguments of every command: what they end with, and that they change nothing. No daemon runs. */
const launcher = join(import.meta.dirname, "..", "bronze");
const root = mkdtempSync(join(tmpdir(), "bz-args-"));
const project = join(root, "project");
const state = join(root, "state");

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function bronze(args: readonly string[], env: NodeJS.ProcessEnv = { BRONZE_STATE: state }): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(launcher, args, {
      cwd: project,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], ...env },
      timeout: 120_000,
      killSignal: "SIGKILL",
    });
    const ended = { stdout: "", stderr: "" };
    child.stdout.on("data", (text: Buffer) => (ended.stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (ended.stderr += text.toString()));
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, ...ended }));
  });
}

type Case = readonly [args: readonly string[], status: number, says: RegExp];
const long = "x".repeat(20_000);
const target = ["up", "status", "logs", "releases", "rollback", "deploy", "down", "history"];
const cases: readonly Case[] = [
  ...commands.flatMap(({ name }): Case[] => [
    [[name, "--nosuch"], 2, /unknown option '--nosuch'|names a group|required option/],
    [[name, "--state"], 2, /as the state folder|missing required|required option|unknown option|names a group/],
    [[name, "--state", "", ...more(name)], 2, /as the state folder/],
    [[name, "--state", `/tmp/${"d".repeat(100)}`, ...more(name)], 2, /too long for a socket/],
    [[name, "--state", join(project, "bronze.yaml"), ...more(name)], 2, /it is a file|is there already/],
  ]),
  [["revoke", "--undo"], 2, /Cannot lift a revocation: no artifact is named/],
  [["revoke", "-m", "why"], 2, /Cannot revoke: no artifact is named/],
  ...target.flatMap((name): Case[] => [
    [[name, "--app", "No App"], 2, /Cannot use "No App" as an app's name/],
    [[name, "--app", ""], 2, /Cannot use "" as an app's name/],
    [[name, "--app", "__proto__"], 2, /as an app's name/],
    [[name, "--app", "a\nb\u001b[2J"], 2, /Cannot use "a\\nb\\x1b\[2J" as an app's name/],
    [[name, "-e", "A_B"], 2, /as an environment's name/],
    [[name, "-e", long], 2, /as an environment's name/],
  ]),
  ...["v0", "0", "-1", "v99999999999999999999", "1.5", "", "v1v", "١", "latest", long].map((release): Case => [
    ["rollback", release],
    2,
    /as a release|unknown option/,
  ]),
  ...["0", "-1", "257", "1.5", "1e2", "", "many", "0x10", "9".repeat(400)].map((count): Case => [
    ["scale", count],
    2,
    /from 1 to 256|unknown option/,
  ]),
  ...["0", "-5", "1e3", "", "99999999999"].flatMap((count): Case[] => [
    [["logs", "-n", count], 2, /from 1 to 10000/],
    [["history", "-n", count], 2, /from 1 to 10000/],
  ]),
  ...["yesterday", "-5m", "2026-99-99", "31d", "10 min", "2999-01-01", ""].map((at): Case => [
    ["status", "--at", at],
    2,
    /as a moment|has not come yet/,
  ]),
  ...["-1", "65536", "x", ""].flatMap((port): Case[] => [
    [["up", "--http-port", port], 2, /as a port/],
    [["serve", "--http-port", port], 2, /as a port/],
  ]),
  [["serve", "--http-host", "no such host"], 2, /as an address to listen on/],
  [["up", "--http-host", ""], 2, /as an address to listen on/],
  [["up", "--wait", "forever"], 2, /Allowed choices are live, proven/],
  [["up", "-e", "productoin"], 4, /did you mean production\?/],
  [["up", "--app", "other"], 2, /defines shop/],
  [["up", "--file", "none.yaml"], 4, /there is no such file here/],
  [["up", "--file", "."], 2, /it is a folder/],
  [["up", "--file", "/dev/zero"], 2, /it is no regular file/],
  [["up", "--file", "nul.yaml"], 2, /nul\.yaml:1:5 holds a NUL byte/],
  [["build", "--file", "wrong.yaml"], 2, /wrong\.yaml:3:8 run\.memory: .* belongs under run\.resources/],
  [["build", "--file", "folder.yaml"], 2, /Cannot read the Dockerfile "\."[^]*it is a folder/],
  [["build", "--file", "pipe.yaml"], 2, /Cannot read the Dockerfile "pipe"[^]*it is no regular file/],
  [["build", "--file", "pipe"], 2, /it is no regular file/],
  [["deploy"], 4, /the store has no such artifact/],
  [["deploy", ""], 2, /as an image's name/],
  [["deploy", "sha256:xyz"], 2, /as a digest/],
  [["deploy", `sha256:${"0".repeat(64)}`], 4, /the store has no such artifact/],
  [["deploy", "../../etc/passwd:x"], 2, /as an image's name/],
  [["import"], 2, /missing required argument/],
  [["import", "none.tar"], 4, /it does not exist/],
  [["import", "", "--name", "a:b"], 4, /it does not exist/],
  [["import", "bronze.yaml"], 7, /Cannot take the archive/],
  [["import", "bronze.yaml", "--name", "A B"], 2, /as an image's name/],
  [["completion", "tcsh"], 2, /Allowed choices are bash, zsh, fish/],
  [["audit", "verfy"], 2, /Did you mean verify/],
  [["init"], 4, /it has no Dockerfile/],
  [["init", "extra"], 2, /too many arguments/],
  [["init", "--from", "none.yaml"], 4, /there is no such file here/],
  [["init", "--from", "/dev/zero"], 4, /of no known kind|no such file/],
  [["init", "--service", "web"], 4, /is no compose file/],
  [["scale"], 2, /missing required argument/],
  [["run"], 2, /missing required argument/],
  [["run", "--release", "v0", "--", "true"], 2, /as a release/],
  [["run", "--release", "", "true"], 2, /as a release/],
  [["scale", "1", "2"], 2, /the number of web is there twice/],
  [[""], 2, /there is no such command/],
  [[long], 2, /there is no such command/],
  [["rolback"], 2, /did you mean `bronze rollback`/],
  [["constructor"], 2, /there is no such command/],
  [["help", "nosuch"], 2, /there is no such command/],
  [["--nosuch"], 2, /unknown option "--nosuch"/],
];

/** What a command needs so that only its state folder is wrong. */
function more(name: string): readonly string[] {
  const needs: Readonly<Record<string, readonly string[]>> = {
    scale: ["2"],
    import: ["bronze.yaml"],
    completion: ["bash"],
    audit: ["verify"],
    pull: ["a:b"],
    push: ["a:b", "127.0.0.1:1/a:b"],
    save: ["a:b", "-o", "saved.tar"],
    run: ["true"],
    diff: ["staging", "production"],
    promote: ["production"],
    config: ["list"],
    secret: ["list"],
    volume: ["list"],
    rollout: ["status"],
    key: ["list"],
    rebuild: ["a:b"],
    attest: ["a:b"],
  };
  // Options of a group belong behind its last word.
  return needs[name] ?? [];
}

const groups = ["audit", "config", "secret", "volume", "rollout", "key"];

function ordered(args: readonly string[]): readonly string[] {
  const [group = "", ...rest] = args;
  const last = rest.at(-1) ?? "";
  return groups.includes(group) && more(group)[0] === last ? [group, last, ...rest.slice(0, -1)] : args;
}

test(
  "every command answers wrong arguments with one line of what, 2 or 4, and changes nothing",
  { timeout: 300_000 },
  async (t) => {
    t.after(() => rmSync(root, { recursive: true, force: true }));
    mkdirSync(project);
    writeFileSync(join(project, "bronze.yaml"), "app: shop\nbuild: { dockerfile: Dockerfile }\n");
    writeFileSync(join(project, "wrong.yaml"), "app: shop\nbuild: { dockerfile: Dockerfile }\nrun: { memory: 1Gi }\n");
    writeFileSync(join(project, "nul.yaml"), "app:\0 shop\n");
    writeFileSync(join(project, "folder.yaml"), "app: shop\nbuild: { dockerfile: . }\n");
    writeFileSync(join(project, "pipe.yaml"), "app: shop\nbuild: { dockerfile: pipe }\n");
    execFileSync("mkfifo", [join(project, "pipe")]);
    const before = readdirSync(project);
    const waiting = [...cases];
    const problems: string[] = [];
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [args, status, says] = next;
        const shown = `bronze ${args.map((arg) => JSON.stringify(arg.slice(0, 60))).join(" ")}`;
        const ended = await bronze([...ordered(args), "--json"]);
        const plain = ended.stderr.replaceAll(/\n(cause|hint): /g, "\u0000").split("\u0000")[0] ?? "";
        if (ended.status !== status)
          problems.push(`${shown}: ended with ${ended.status}, ${status} expected: ${ended.stderr.slice(0, 300)}`);
        else if (!says.test(ended.stderr)) problems.push(`${shown}: says ${ended.stderr.slice(0, 300)}`);
        else if (/\n\s+at /.test(ended.stderr)) problems.push(`${shown}: shows a stack: ${ended.stderr.slice(0, 300)}`);
        else if (!/^error\[[A-Z_]+\]: [^\n]+$/.test(plain.trimEnd()))
          problems.push(`${shown}: not one line: ${plain.slice(0, 300)}`);
        else if (!/\nhint: {2}\S/.test(ended.stderr)) problems.push(`${shown}: no next step`);
        else if (ended.stderr.length > 2000) problems.push(`${shown}: ${ended.stderr.length} characters long`);
        else {
          const { error } = JSON.parse(ended.stdout) as {
            readonly error: { readonly code: string; readonly hint: string };
          };
          if (!/^[A-Z_]+$/.test(error.code) || error.hint === "")
            problems.push(`${shown}: ${ended.stdout.slice(0, 300)}`);
        }
      }
    };
    await Promise.all([work(), work(), work()]);
    assert.deepEqual(problems, []);
    assert.deepEqual(readdirSync(project), before);
    assert.deepEqual(
      existsSync(state) ? readdirSync(state).filter((name) => name !== "store" && name !== "cache") : [],
      [],
    );
    t.diagnostic(`${cases.length} command lines refused`);

    const wrong: readonly (readonly [NodeJS.ProcessEnv, readonly string[], number, RegExp])[] = [
      [{ BRONZE_STATE: "/proc/x" }, ["status"], 2, /it is the kernel's/],
      [{ BRONZE_STATE: "a\nb" }, ["status"], 2, /as the state folder/],
      [{ BRONZE_STATE: join(project, "bronze.yaml") }, ["status"], 2, /it is a file/],
      [{ BRONZE_STATE: state, BRONZE_LOG: "loud" }, ["serve", "--http-port", "0"], 2, /BRONZE_LOG "loud"/],
      [{ BRONZE_STATE: state, SOURCE_DATE_EPOCH: "soon" }, ["build"], 2, /SOURCE_DATE_EPOCH/],
    ];
    for (const [env, args, status, says] of wrong) {
      const ended = await bronze(args, env);
      assert.equal(ended.status, status, ended.stderr);
      assert.match(ended.stderr, says);
    }
  },
);
