import assert from "node:assert/strict";
import test from "node:test";
import { chainStart, verifyChain } from "../ledger/chain.ts";
import type { NewEvent } from "../ledger/event.ts";
import type { Journal } from "./journal.ts";

function started(pid: number): NewEvent {
  return { atMs: 1_000 + pid, data: { kind: "daemon.started", version: "1", pid } };
}

/** What every journal does. @param open makes an empty one; `reopen` gives what a new process finds */
export function journalSuite(
  name: string,
  open: () => { readonly journal: Journal; readonly reopen: (journal: Journal) => Journal; readonly clean: () => void },
): void {
  test(`${name}: append() numbers and chains events, read() gives them back in order`, () => {
    const { journal, clean } = open();
    const first = journal.append([started(1), started(2)]);
    const second = journal.append([started(3)]);
    assert.deepEqual(
      [...first, ...second].map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.equal(first[0]?.prev, chainStart.hash);
    assert.equal(second[0]?.prev, first[1]?.hash);
    assert.deepEqual([...journal.read()], [...first, ...second]);
    assert.deepEqual([...journal.read(2)], second);
    assert.equal(verifyChain(journal.read()).damage, null);
    journal.close();
    clean();
  });

  test(`${name}: appendIntent() is in the chain before what is appended next, also for the next process`, () => {
    const { journal, reopen, clean } = open();
    const [intent] = journal.appendIntent([started(1)]);
    const after = reopen(journal);
    const [result] = after.append([started(2)]);
    assert.equal(result?.prev, intent?.hash);
    assert.equal(verifyChain(after.read()).damage, null);
    after.close();
    clean();
  });

  test(`${name}: append() of nothing changes nothing`, () => {
    const { journal, clean } = open();
    assert.deepEqual(journal.append([]), []);
    assert.deepEqual([...journal.read()], []);
    journal.close();
    clean();
  });

  test(`${name}: what was appended is there for the next process, and the chain goes on`, () => {
    const { journal, reopen, clean } = open();
    const [event] = journal.append([started(1)]);
    const after = reopen(journal);
    const [next] = after.append([started(2)]);
    assert.equal(next?.prev, event?.hash);
    assert.equal([...after.read()].length, 2);
    after.close();
    clean();
  });
}
