import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Instruction } from "./instruction.ts";
import { parseDockerfile, type ParsedDockerfile } from "./parse.ts";

const parse = (text: string): ParsedDockerfile => parseDockerfile(text, "Dockerfile");
const instructions = (text: string): readonly Instruction[] => parse(text).stages[0]?.instructions ?? [];

const refusals: readonly (readonly [text: string, line: number, code: string, words: RegExp])[] = [
  ["FROM scratch\nRUN --network=host x\n", 2, "NOT_YET_SUPPORTED", /--network=host is not supported/],
  ["FROM scratch\nRUN --security=insecure x\n", 2, "NOT_YET_SUPPORTED", /--security=insecure/],
  ["FROM scratch\nRUN --mount=type=ssh x\n", 2, "NOT_YET_SUPPORTED", /--mount=type=ssh/],
  ["FROM scratch\nRUN []\n", 2, "DEFINITION_INVALID", /RUN names no program/],
  ["FROM scratch\nRUN --device=a x\n", 2, "NOT_YET_SUPPORTED", /--device/],
  ["COPY a /a\nFROM scratch\n", 1, "DEFINITION_INVALID", /COPY stands before the first FROM/],
  ["FROM scratch\nENV\n", 2, "DEFINITION_INVALID", /ENV says nothing/],
  ["FROM scratch\nENV A\n", 2, "DEFINITION_INVALID", /has no value/],
  ["FROM scratch\nENV A=1 B\n", 2, "DEFINITION_INVALID", /"B" is not NAME=VALUE/],
  ["FROM scratch\nCOPY a\n", 2, "DEFINITION_INVALID", /what to copy and where to/],
  ["FROM scratch\nCOPY --chwon=1 a b\n", 2, "DEFINITION_INVALID", /did you mean --chown/],
  ["FROM scratch\nCOPY --from=$X a b\n", 2, "DEFINITION_INVALID", /--from takes no variables/],
  ["FROM scratch\nCOPY --link=maybe a b\n", 2, "DEFINITION_INVALID", /true or false/],
  ["FROM scratch\nCOPY --chown a b\n", 2, "DEFINITION_INVALID", /--chown needs a value/],
  ["FROM scratch\nCOPY <<EOF /x\nopen\n", 2, "DEFINITION_INVALID", /"EOF" is not closed/],
  ["FROM scratch\nFRUIT x\n", 2, "DEFINITION_INVALID", /"FRUIT" is no instruction/],
  ["FROM a b\n", 1, "DEFINITION_INVALID", /FROM takes a name/],
  ["FROM a AS 1x\n", 1, "DEFINITION_INVALID", /no name for a stage/],
  ["FROM scratch\nONBUILD ONBUILD RUN x\n", 2, "DEFINITION_INVALID", /cannot be a trigger/],
  ["FROM scratch\nONBUILD FROM x\n", 2, "DEFINITION_INVALID", /cannot be a trigger/],
  ["FROM scratch\nSHELL /bin/sh\n", 2, "DEFINITION_INVALID", /SHELL takes a list/],
  ["FROM scratch\nHEALTHCHECK curl x\n", 2, "DEFINITION_INVALID", /CMD or NONE/],
  ["FROM scratch\nHEALTHCHECK --interval=5 CMD x\n", 2, "DEFINITION_INVALID", /is no time/],
  ["FROM scratch\nCMD [1]\n", 2, "DEFINITION_INVALID", /texts only/],
  ["FROM scratch\nRUN --mount=type=tempfs,target=/x y\n", 2, "DEFINITION_INVALID", /there are bind, cache, tmpfs/],
  ["FROM scratch\nRUN --mount=type=cache,target=/ y\n", 2, "DEFINITION_INVALID", /no target/],
  ["FROM scratch\nRUN --mount=type=bind,target=/x,uid=1 y\n", 2, "DEFINITION_INVALID", /has no "uid"/],
  ["FROM scratch\nRUN --mount=type=bind,from=$A,target=/x y\n", 2, "DEFINITION_INVALID", /from takes no variables/],
  ["# escape=x\nFROM scratch\n", 1, "DEFINITION_INVALID", /escape character/],
  ["# only this\n", 1, "DEFINITION_INVALID", /no FROM/],
];

for (const [text, line, code, words] of refusals) {
  test(`\`parseDockerfile()\` refuses ${JSON.stringify(text)} at line ${line}`, () => {
    assert.throws(
      () => parse(text),
      (error) =>
        error instanceof OperatorError &&
        error.code === code &&
        error.message.includes(`line ${line}:`) &&
        words.test(error.message) &&
        error.hint.length > 10,
    );
  });
}

test("`parseDockerfile()` tells all problems of a file at once, each with its line", () => {
  assert.throws(
    () => parse("FROM scratch\nENV\nRUN --network=host x\nCOPY a\n"),
    (error) =>
      error instanceof OperatorError &&
      error.code === "DEFINITION_INVALID" &&
      error.message.includes("3 problems") &&
      /line 2: .*\nline 3: .*\nline 4: /.test(String(error.cause)),
  );
});

test("`parseDockerfile()` joins continued lines and leaves comments and empty lines between them out, with a warning for these", () => {
  const parsed = parse('FROM scratch\nENV A=1 \\\n  # comment\n\n  B="x y"\nCMD ["a", "b c"]\nRUN a \\ \n b\n');
  const [env, cmd, run] = parsed.stages[0]?.instructions ?? [];
  assert.deepEqual(env?.kind === "env" && env.pairs, [
    { name: "A", value: "1" },
    { name: "B", value: '"x y"' },
  ]);
  assert.deepEqual(cmd?.kind === "cmd" && cmd.command, { form: "exec", words: ["a", "b c"] });
  assert.deepEqual(run?.kind === "run" && run.command, { form: "shell", line: "a  b" });
  assert.deepEqual(
    parsed.warnings.map(({ line }) => line),
    [4],
  );
});

test("`parseDockerfile()` reads directives at the top only, a byte order mark and CRLF", () => {
  const parsed = parse(
    "\uFEFF# syntax=docker/dockerfile:1.4\r\n# escape=`\r\nFROM scratch\r\n# escape=\\\r\nRUN a `\r\n b\r\n",
  );
  assert.deepEqual([parsed.syntax, parsed.escape], ["docker/dockerfile:1.4", "`"]);
  const [run] = parsed.stages[0]?.instructions ?? [];
  assert.deepEqual(run?.kind === "run" && run.command, { form: "shell", line: "a  b" });
});

const heredocs: readonly (readonly [text: string, documents: readonly (readonly [string, string, boolean])[]])[] = [
  ["RUN <<EOF\na\n\n# b\nEOF\n", [["EOF", "a\n\n# b\n", true]]],
  [
    "RUN cat <<-E1 3<<'E 2' > x\n\ta\n\tE1\n\tb\nE 2\n",
    [
      ["E1", "\ta\n", true],
      ["E 2", "\tb\n", false],
    ],
  ],
  [
    'COPY <<"A" <<B /x/\n$x\nA\nFROM b\nB\n',
    [
      ["A", "$x\n", false],
      ["B", "FROM b\n", true],
    ],
  ],
  ["RUN echo '<<EOF' \"<<EOF\" <<<EOF\n", []],
  ["ENV A=<<EOF\n", []],
  ["RUN cat <<EOF \\\n  # not of it\n  && x\nin it\nEOF\n", [["EOF", "in it\n", true]]],
];

for (const [text, documents] of heredocs) {
  test(`\`parseDockerfile()\` finds the documents of ${JSON.stringify(text)}`, () => {
    const [first, second] = instructions(`FROM scratch\n${text}LABEL a=b\n`);
    const found = first !== undefined && "documents" in first ? first.documents : [];
    assert.deepEqual(
      found.map(({ name, content, expand }) => [name, content, expand]),
      documents,
    );
    assert.equal(second?.kind, "label");
  });
}

test("`parseDockerfile()` understands flags, lists and plain words", () => {
  const [copy, add, run, bad] = instructions(
    [
      "FROM scratch",
      'COPY --from=Build --chown=a:b --link --parents --exclude=*.md --exclude=x ["a b", "/c d/"]',
      "ADD --checksum=sha256:x --unpack=false http://x/y /z",
      `RUN --mount='type=cache,"target=/a,b"' --network=none ["x", "--y"]`,
      "CMD [not json",
    ].join("\n"),
  );
  assert.ok(copy?.kind === "copy");
  assert.deepEqual(
    [copy.from, copy.chown, copy.link, copy.parents, copy.exclude, copy.sources, copy.target],
    ["Build", "a:b", true, true, ["*.md", "x"], ["a b"], "/c d/"],
  );
  assert.ok(add?.kind === "add");
  assert.deepEqual([add.checksum, add.unpack, add.sources], ["sha256:x", false, ["http://x/y"]]);
  assert.ok(run?.kind === "run");
  assert.deepEqual(
    [run.mounts, run.network, run.command],
    [['type=cache,"target=/a,b"'], "none", { form: "exec", words: ["x", "--y"] }],
  );
  assert.deepEqual(bad?.kind === "cmd" && bad.command, { form: "shell", line: "[not json" });
});

test("`parseDockerfile()` takes a file of a mebibyte and one of 10,000 instructions", () => {
  const many = parse(`FROM scratch\n${"ENV A=b C=$D\n".repeat(10_000)}`);
  assert.equal(many.stages[0]?.instructions.length, 10_000);
  assert.equal(instructions(`FROM scratch\nRUN ${"x \\\n".repeat(250_000)}y\n`).length, 1);
  assert.equal(parse("FROM scratch\n".repeat(10_000)).stages.length, 10_000);
});
