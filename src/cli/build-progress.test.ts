import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { cutToWidth, textWidth } from "../render/width.ts";
import { createBuildProgress, type BuildProgress } from "./build-progress.ts";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((dir) => rmSync(dir, { recursive: true, force: true })));

interface Seen {
  readonly progress: BuildProgress;
  readonly logFolder: string;
  /** All that was written. */
  written(): string;
  /** What a terminal shows after it, as lines. */
  screen(): readonly string[];
}

function look(
  terminal: boolean,
  style: "auto" | "plain" = "auto",
  env: { readonly [name: string]: string } = {},
): Seen {
  const logFolder = mkdtempSync(join(tmpdir(), "bronze-progress-"));
  folders.push(logFolder);
  let text = "";
  const progress = createBuildProgress({
    screen: { write: (piece: string) => (text += piece), isTTY: terminal, columns: 40, rows: 12 },
    env: { NO_COLOR: "1", ...env },
    style,
    logFolder,
  });
  return { progress, logFolder, written: () => text, screen: () => shownBy(text) };
}

/** Carries out what the renderer uses: lines, cursor up, clear to the end. */
function shownBy(text: string): readonly string[] {
  let lines: string[] = [];
  // oxlint-disable-next-line no-control-regex -- what a terminal understands
  for (const part of text.split(/(\u001b\[[0-9]+A\u001b\[0J)/)) {
    // oxlint-disable-next-line no-control-regex -- the same
    const up = /^\u001b\[([0-9]+)A/.exec(part)?.[1];
    if (up === undefined) lines.push(...part.split("\n").slice(0, -1));
    else lines = lines.slice(0, -Number(up));
  }
  return lines;
}

const out = (step: string, text: string | Buffer) => ({ kind: "output", step, bytes: Buffer.from(text) }) as const;

test("`createBuildProgress()` writes a line a step where there is no terminal, output with its step before it", () => {
  const { progress, written } = look(false);
  progress.report({ kind: "started", step: "1/3", text: "COPY . ." });
  progress.report({ kind: "ended", step: "1/3", how: "cached", ms: 1 });
  progress.report({ kind: "started", step: "2/3", text: "RUN a\nb" });
  progress.report(out("2/3", "one\ntw"));
  progress.report(out("2/3", "o\r10 %\r20 %\n\u001b[31mred\u0007"));
  progress.report({
    kind: "ended",
    step: "2/3",
    how: "done",
    ms: 3210,
    network: { sentPackets: 3, receivedBytes: 2048 },
  });
  progress.report({ kind: "note", text: "said \u001b[2J once" });
  progress.end();
  assert.deepEqual(
    written()
      .replaceAll(/[0-9.]+ ms \|/g, "T |")
      .split("\n"),
    [
      "✓ 1/3  COPY . .  cached",
      "  2/3  RUN a\\nb",
      "  2/3 T | one",
      "  2/3 T | 20 %",
      "  2/3 T | red\\x07",
      "✓ 2/3  RUN a\\nb  3.2 s, network, 2.0 KiB received",
      "  said \\x1b[2J once",
      "",
    ],
  );
  assert.deepEqual(
    progress.steps.map(({ step, how, ms, network }) => [step, how, ms, network?.sentPackets]),
    [
      ["1/3", "cached", 1, undefined],
      ["2/3", "done", 3210, 3],
    ],
  );
});

test("`createBuildProgress()` shows on a terminal what runs, its last line, and keeps one line of what ended", () => {
  const { progress, screen } = look(true);
  progress.report({ kind: "started", step: "1/2", text: `COPY ${"long ".repeat(40)}` });
  progress.report({ kind: "started", step: "2/2", text: "RUN work" });
  progress.report(out("2/2", `first\n${"x".repeat(100)}\n`));
  progress.report({ kind: "note", text: "noted" });
  const during = screen();
  assert.equal(during[0], "  noted");
  assert.match(during[1] ?? "", /^. 1\/2 {2}COPY long.*…/);
  assert.match(during[2] ?? "", /^. 2\/2 {2}RUN work/);
  assert.match(during[3] ?? "", /^ {4}x+…$/);
  assert.ok(during.slice(1).every((line) => textWidth(line) < 40));
  progress.report({ kind: "ended", step: "1/2", how: "done", ms: 20 });
  progress.report({ kind: "ended", step: "2/2", how: "done", ms: 1500 });
  progress.end();
  progress.end();
  const after = screen();
  assert.equal(after.length, 3);
  assert.match(after[1] ?? "", /^✓ 1\/2 {2}COPY long.*… {2}20 ms$/);
  assert.equal(textWidth(after[1] ?? "") < 40, true);
  assert.equal(after[2], "✓ 2/2  RUN work  1.5 s");
});

test("`createBuildProgress()` never draws more lines than the terminal has", () => {
  const { progress, screen } = look(true);
  for (let i = 0; i < 30; i++) {
    progress.report({ kind: "started", step: `${i}`, text: "RUN" });
    progress.report(out(`${i}`, "line\n"));
  }
  progress.report({ kind: "note", text: "n" });
  assert.ok(screen().length <= 12, String(screen().length));
  assert.equal(screen().at(-1), "  and 25 more");
  progress.end();
});

test("`createBuildProgress()` shows all output of a step that failed, and forgets that of the others", () => {
  const { progress, screen, logFolder } = look(true);
  progress.report({ kind: "started", step: "1", text: "RUN ok" });
  progress.report({ kind: "started", step: "2", text: "RUN no" });
  for (let i = 0; i < 50; i++) {
    progress.report(out("1", `fine ${i}\n`));
    progress.report(out("2", `line ${i}\n`));
  }
  progress.report({ kind: "ended", step: "2", how: "failed", ms: 5, text: "exit status 3" });
  progress.report({ kind: "ended", step: "1", how: "stopped", ms: 9 });
  progress.end();
  assert.deepEqual(screen(), [
    "✗ 2  RUN no  failed after 5 ms, exit status 3",
    ...Array.from({ length: 50 }, (_, i) => `    line ${i}`),
    "- 1  RUN ok  stopped after 9 ms",
  ]);
  assert.deepEqual(readdirSync(logFolder), []);
});

test("`createBuildProgress()` keeps the beginning of a long output on disk, names the file, and removes those of dead processes", () => {
  const { progress, screen, logFolder } = look(true);
  writeFileSync(join(logFolder, "4999999-1.log"), "of one that died");
  const line = `${"y".repeat(1023)}\n`;
  for (const step of ["1", "2"]) {
    progress.report({ kind: "started", step, text: "RUN loud" });
    progress.report(out(step, "the first line\n"));
    for (let i = 0; i < 4096; i++) progress.report(out(step, line));
    progress.report(out(step, "the last line"));
    progress.report({ kind: "ended", step, how: step === "1" ? "done" : "failed", ms: 5 });
  }
  progress.end();
  const [log, ...more] = readdirSync(logFolder);
  assert.deepEqual(more, []);
  const path = join(logFolder, log ?? "");
  assert.ok(screen().some((shown) => shown.endsWith(`all of its output is in ${path}`)));
  assert.equal(screen().at(-1), "    the last line");
  assert.equal(statSync(path).size, "the first line\nthe last line".length + 4096 * 1024);
  assert.ok(readFileSync(path, "utf8").startsWith("the first line\n"));
});

test("`cutToWidth()` never takes more cells than there are, also of characters that are two wide", () => {
  for (const text of ["", "abc", "日本語のビルド", "👩‍👩‍👧 family", "a\u0301bc".repeat(20), "x".repeat(10_000)]) {
    for (const width of [0, 1, 2, 5, 20]) {
      const cut = cutToWidth(text, width);
      assert.ok(textWidth(cut) <= width, `${text} ${width}`);
      if (textWidth(text) <= width) assert.equal(cut, text);
    }
  }
});
