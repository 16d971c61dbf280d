import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMemberTable } from "./member-table.ts";

test("`createMemberTable()` holds the last member of each path, in the order of the paths, however they came", () => {
  const paths = fc.array(fc.stringMatching(/^[ab./]{1,3}$/), { maxLength: 12 });
  fc.assert(
    fc.property(paths, fc.boolean(), (given, isSorted) => {
      const table = createMemberTable<{ readonly entry: { readonly path: string }; readonly number: number }>();
      const expected = new Map<string, number>();
      for (const [number, path] of (isSorted ? given.toSorted() : given).entries()) {
        table.set({ entry: { path }, number });
        expected.set(path, number);
        for (const each of given) assert.equal(table.get(each)?.number, expected.get(each));
      }
      const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(
        table.sorted().map(({ entry, number }) => [entry.path, number]),
        sorted,
      );
    }),
  );
});
