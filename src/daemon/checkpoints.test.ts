import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Recorder } from "../controller/recorder.ts";
import { checkpointsPath, readCheckpoints } from "../drivers/checkpoints/file.ts";
import { createKeyring } from "../drivers/keys/keyring.ts";
import { createVirtualClock } from "../drivers/memory/clock.ts";
import { createMemoryJournal } from "../drivers/memory/journal.ts";
import { gatherRuns } from "../ledger/checkpoint-runs.ts";
import { Witness } from "../ledger/witness.ts";
import { createCheckpoints, type Checkpoints } from "./checkpoints.ts";

const root = mkdtempSync(join(tmpdir(), "bronze-checkpoints-"));
after(() => rmSync(root, { recursive: true }));
let number = 0;

function world() {
  number += 1;
  const stateDir = mkdtempSync(join(root, `${number}-`));
  const clock = createVirtualClock();
  const journal = createMemoryJournal();
  const recorder = new Recorder(journal, clock);
  const signer = createKeyring(join(stateDir, "keys"), {
    now: () => clock.wall(),
    signal: new AbortController().signal,
  });
  const errors: unknown[] = [];
  const daemon = (everyMs: number | null = null): Checkpoints =>
    createCheckpoints({
      stateDir,
      journal,
      recorder,
      signer,
      clock,
      everyMs,
      onError: (error) => errors.push(error),
    });
  const happen = (count = 1): void => {
    for (let i = 0; i < count; i += 1) recorder.append({ kind: "daemon.started", version: "1", pid: i });
  };
  const runs = async () => gatherRuns(await readCheckpoints(stateDir), await signer.trust(), clock.wall());
  return { stateDir, clock, journal, recorder, errors, daemon, happen, runs };
}

test("createCheckpoints() goes on from the last one, also after the daemon, and signs nothing twice", async () => {
  const { daemon, happen, runs, journal, errors } = world();
  happen(3);
  const first = daemon();
  assert.equal((await first.make()).sequence, 3);
  assert.equal((await first.make()).isNew, false);
  happen(2);
  assert.equal((await first.make()).sequence, 5);
  await first.stop();
  happen(4);
  const second = daemon();
  assert.equal((await second.make()).sequence, 9);
  await second.stop();
  const { runs: found, problems } = await runs();
  assert.deepEqual([found.length, problems, errors], [1, [], []]);
  const [run] = found;
  assert.deepEqual(
    run?.checkpoints.map(({ sequence }) => sequence),
    [3, 5, 9],
  );
  const witness = new Witness(run?.checkpoints ?? [], run?.fingerprints ?? Buffer.alloc(0));
  for (const event of journal.read()) witness.take(event);
  assert.equal(witness.finish(), null);
  assert.equal(run?.fingerprints.length, 9 * 8);
});

test("createCheckpoints() does not sign what no disk has", async () => {
  const { daemon, happen, recorder } = world();
  happen(2);
  const checkpoints = daemon();
  recorder.appendIntent({ kind: "daemon.stopped" });
  assert.equal((await checkpoints.make()).sequence, 2);
  happen();
  assert.equal((await checkpoints.make()).sequence, 4);
  await checkpoints.stop();
});

test("createCheckpoints() takes half a line for none, as a killed daemon leaves it", async () => {
  const { daemon, happen, runs, stateDir } = world();
  happen(2);
  const first = daemon();
  await first.make();
  await first.stop();
  const whole = readFileSync(checkpointsPath(stateDir), "utf8");
  appendFileSync(checkpointsPath(stateDir), whole.slice(0, 100));
  happen();
  const second = daemon();
  await second.make();
  await second.stop();
  const { runs: found, problems } = await runs();
  assert.deepEqual(problems, []);
  assert.deepEqual(
    found[0]?.checkpoints.map(({ sequence }) => sequence),
    [2, 3],
  );
});

test("createCheckpoints() tells of a ledger that is not the one it signed, and begins anew beside what it had signed", async () => {
  const one = world();
  one.happen(3);
  const first = one.daemon();
  await first.make();
  await first.stop();
  const other = world();
  other.recorder.append({ kind: "daemon.stopped" });
  other.happen(4);
  const second = createCheckpoints({
    stateDir: one.stateDir,
    journal: other.journal,
    recorder: other.recorder,
    signer: createKeyring(join(one.stateDir, "keys"), {
      now: () => one.clock.wall(),
      signal: new AbortController().signal,
    }),
    clock: one.clock,
    everyMs: null,
    onError: (error) => one.errors.push(error),
  });
  await second.make();
  await second.stop();
  assert.match(second.problem() ?? "", /not what was signed/);
  assert.equal(one.errors.length, 1);
  const { runs } = await one.runs();
  assert.deepEqual(
    runs.map((run) => run.checkpoints.map(({ sequence }) => sequence)),
    [[3], [5]],
  );
});

test("createCheckpoints() signs by itself at intervals, where anything happened", async () => {
  const { daemon, happen, runs, clock, errors } = world();
  happen();
  const checkpoints = daemon(600_000);
  checkpoints.start();
  await clock.advance(60_000);
  // Files and keys are real: what was begun in virtual time is waited for.
  await checkpoints.make();
  happen();
  await clock.advance(600_000);
  await checkpoints.stop();
  await clock.advance(6_000_000);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    (await runs()).runs[0]?.checkpoints.map(({ sequence }) => sequence),
    [1, 2],
  );
});
