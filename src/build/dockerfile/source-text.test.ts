import assert from "node:assert/strict";
import { test } from "node:test";
import { DockerfileParser } from "dockerfile-ast";
import fc from "fast-check";
import { readSourceText } from "./source-text.ts";

/** Pieces of which both readers say the same: what theirs reads in another way than BuildKit is left out. */
const lines = fc.constantFrom(
  "FROM scratch",
  "  run echo a",
  "# comment",
  "",
  "ENV A=b \\",
  "  C=d",
  "RUN a \\\n# not of it\n  && b",
  "COPY a b\t",
  "RUN <<EOF\nRUN in it\n\n# and this\nEOF",
  "RUN cat <<-'X' | sh\n\tENV a=b\n\tX",
  'CMD ["a", "b"]',
  "ONBUILD RUN <<A\nx\nA",
  "LABEL \\\n\\\n a=b",
);

test("`readSourceText()` finds the instructions that dockerfile-ast finds, at the same lines", () => {
  fc.assert(
    fc.property(fc.array(lines, { minLength: 1, maxLength: 30 }), fc.constantFrom("\n", "\r\n"), (written, newline) => {
      const text = `${written.join("\n")}\n`.replaceAll("\n", newline);
      const theirs = DockerfileParser.parse(text).getInstructions();
      assert.deepEqual(
        readSourceText(text).instructions.map(({ keyword, line }) => [keyword, line]),
        theirs.map((instruction) => [instruction.getKeyword(), instruction.getRange().start.line + 1]),
      );
    }),
    { numRuns: 500 },
  );
});
