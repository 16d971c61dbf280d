import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { parseDockerfile } from "./parse.ts";
import { splitWords } from "./words.ts";

const refusals: readonly [text: string, line: number, code: string, words: RegExp][] = [
  ["FROM scratch\nCOPY a /a\nRUN npm ci\n", 3, "NOT_YET_SUPPORTED", /RUN/],
  ["FROM scratch\n\n# x\nADD a.tar /\n", 4, "NOT_YET_SUPPORTED", /ADD/],
  ["FROM scratch AS build\nFROM scratch\nCOPY a /a\n", 2, "NOT_YET_SUPPORTED", /second FROM/],
  ["FROM scratch\nCOPY --from=build /a /a\n", 2, "NOT_YET_SUPPORTED", /--from/],
  ["FROM scratch\nCOPY <<EOF /a\nhi\nEOF\n", 2, "NOT_YET_SUPPORTED", /here-document/],
  ["FROM scratch\nENV A=1 \\\n  B=2\nVOLUME /data\n", 4, "NOT_YET_SUPPORTED", /VOLUME/],
  ["COPY a /a\nFROM scratch\n", 1, "DEFINITION_INVALID", /begin with FROM/],
  ["FROM scratch\nENV\n", 2, "DEFINITION_INVALID", /says nothing/],
];

for (const [text, line, code, words] of refusals) {
  test(`\`parseDockerfile()\` refuses ${JSON.stringify(text)} at line ${line}`, () => {
    assert.throws(
      () => parseDockerfile(text, "Dockerfile"),
      (error) =>
        error instanceof OperatorError &&
        error.code === code &&
        error.message.includes(`line ${line}:`) &&
        words.test(error.message) &&
        error.hint.length > 10,
    );
  });
}

test("`parseDockerfile()` joins continued lines and leaves comments between them out", () => {
  const { instructions } = parseDockerfile(
    'FROM scratch\nENV A=1 \\\n  # comment\n  B="x y"\nCMD ["a", "b c"]\n',
    "Dockerfile",
  );
  assert.deepEqual(splitWords(instructions[1]?.text ?? "", new Map(), "\\"), ["A=1", "B=x y"]);
  assert.deepEqual(instructions[2]?.list, ["a", "b c"]);
});

test("`splitWords()` puts variables in as Docker does", () => {
  const variables = new Map([
    ["A", "x y"],
    ["E", ""],
  ]);
  const cases: readonly [text: string, words: readonly string[]][] = [
    ["$A ${A}b", ["x y", "x yb"]],
    ["'$A' \"$A\" \\$A", ["$A", "x y", "$A"]],
    ["${N:-d} ${E:-d} ${E-d}. ${A:+s} ${N:+s}.", ["d", "d", ".", "s", "."]],
    ["${N:-${A}}", ["x y"]],
    ['a\\ b "c\\"d"', ["a b", 'c"d']],
  ];
  for (const [text, words] of cases) assert.deepEqual(splitWords(text, variables, "\\"), words, text);
  assert.throws(() => splitWords('"open', variables, "\\"), SyntaxError);
});
