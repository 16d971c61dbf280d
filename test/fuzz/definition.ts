import assert from "node:assert/strict";
import fc from "fast-check";
import { scratchState } from "../../src/build/dockerfile/base-image.ts";
import { applyConfig } from "../../src/build/dockerfile/config.ts";
import { planDockerfile } from "../../src/build/dockerfile/plan.ts";
import { InstructionProblem } from "../../src/build/dockerfile/problems.ts";
import { isStep } from "../../src/build/dockerfile/stage.ts";
import { parseDockerfile } from "../../src/build/dockerfile/parse.ts";
import { expandText, expandWords, splitQuoted } from "../../src/build/dockerfile/words.ts";
import { decodeDefinition } from "../../src/definition/decode.ts";
import { keySets } from "../../src/definition/keys.ts";
import { parseDefinition } from "../../src/definition/parse.ts";
import type { Problem } from "../../src/definition/problem.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import type { FuzzTarget } from "./target.ts";

/** Longest time one definition may take, in ms, on a machine that does other things too. */
const mostMs = 10_000;

const words = [
  ...new Set(Object.values(keySets).flatMap(({ known, later }) => [...known, ...later])),
  ..."shop Dockerfile bookworm null true 0 -1 0x1f 1e9 .inf 5s 256Mi 10MB /x ../x __proto__ constructor production".split(
    " ",
  ),
];
const marks = [": ", ":\n", "\n", "\n  ", "\n    ", "- ", "{", "}", "[", "]", ",", "&a ", "*a", "'", '"', "|\n", ">"];
const odd = [
  "!!x ",
  "!!set ",
  "<<: ",
  "? ",
  "---\n",
  "...\n",
  "%YAML 1.1\n",
  "#",
  "\t",
  "\r",
  "\0",
  "\ufeff",
  "\u2028",
];
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...words) },
  { weight: 6, arbitrary: fc.constantFrom(...marks) },
  { weight: 1, arbitrary: fc.constantFrom(...odd) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
);
const soup = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(""));
/** JSON is YAML: trees whose keys are mostly the right ones, at right and wrong places. */
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.constantFrom<unknown>(...words, 0, 1, 80, -1, 0.5, 1e21, true, null, ""),
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...words), tie("tree"), { maxKeys: 6 }),
  ),
}));
const whole = fc
  .dictionary(fc.constantFrom(...keySets.top.known), tree)
  .map((value) => JSON.stringify({ app: "shop", build: { dockerfile: "D" }, ...value }));
const text = fc.oneof(soup, whole, fc.string({ unit: "binary" }));

function isWithin(problem: Problem, lines: readonly string[]): boolean {
  const line = lines[problem.line - 1];
  return line !== undefined && problem.column >= 1 && problem.column <= line.length + 2;
}

/** Whatever the text, a definition or an error whose problems all have a place within the file, each on one line. */
export const definitionTarget: FuzzTarget = {
  name: "definition",
  weight: 20,
  property: fc.property(fc.oneof(text.map(Buffer.from), fc.uint8Array({ maxLength: 40 })), (bytes) => {
    const began = performance.now();
    try {
      const decoded = decodeDefinition(bytes, "bronze.yaml");
      const definition = parseDefinition(decoded, "bronze.yaml");
      assert.ok(definition.environments.length > 0);
    } catch (thrown) {
      assert.ok(thrown instanceof OperatorError && thrown.exitStatus === 2, String(thrown));
      const { problems } = thrown.details as { readonly problems: readonly Problem[] };
      const lines = new TextDecoder().decode(bytes).split("\n");
      assert.ok(problems.length > 0);
      for (const problem of problems) {
        assert.ok(isWithin(problem, lines), JSON.stringify(problem));
        // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
        assert.doesNotMatch(`${problem.path}${problem.message}`, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      }
    }
    assert.ok(performance.now() - began < mostMs);
  }),
};

const instructions = "FROM COPY ENV ARG WORKDIR USER EXPOSE CMD ENTRYPOINT LABEL STOPSIGNAL RUN ADD SHELL from Copy";
const dockerPieces = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...instructions.split(" ")) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(" ", "\n", "\\\n", "# x\n", "scratch", "--from=a ", "--chown=1:2 ", '["a"', "]", "A=b"),
  },
  { weight: 2, arbitrary: fc.constantFrom("$A", "${A", "${A:-", "}", "'", '"', "\\", "<<EOF", "\r\n", "# escape=`\n") },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      "FROM scratch\n",
      "FROM a AS b\n",
      "FROM b\n",
      "ARG A=1\n",
      "EOF\n",
      "<<-'E F' ",
      "E F\n",
      "3<<EOF ",
      "ONBUILD ",
      "RUN --mount=type=cache,target=/x",
      ",id=$A",
      ",mode=7",
      "--mount=",
      "type=secret,",
      "from=b,",
      "HEALTHCHECK CMD ",
      "--interval=1m",
      "VOLUME [",
      "80-90/udp",
      "${A/b/",
      "${A##*",
      "${A%",
      ":?x}",
      "--parents ",
      "--exclude=* ",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
);

/** Whatever the Dockerfile, it is taken apart or refused with a line that is in it. */
export const dockerfileTarget: FuzzTarget = {
  name: "dockerfile",
  weight: 10,
  property: fc.property(
    fc
      .tuple(fc.constantFrom("", "FROM scratch\n"), fc.array(dockerPieces, { maxLength: 40 }))
      .map(([first, pieces]) => first + pieces.join("")),
    (file) => {
      try {
        const parsed = parseDockerfile(file, "Dockerfile");
        const { escape } = parsed;
        const buildArgs = new Map([["A", "b c"]]);
        const options = { file: "Dockerfile", target: null, buildArgs, platform: "linux/amd64" };
        const { stages, globals } = planDockerfile(parsed, options);
        for (const { instructions: all } of stages) {
          let state = scratchState("linux/amd64");
          for (const instruction of all) {
            if (isStep(instruction)) continue;
            try {
              state = applyConfig(state, instruction, { escape, epoch: 0, buildArgs, globals });
            } catch (thrown) {
              assert.ok(thrown instanceof SyntaxError || thrown instanceof InstructionProblem, String(thrown));
            }
          }
        }
        for (const { text: words } of [...parsed.globals, ...parsed.stages.flatMap((stage) => stage.instructions)]) {
          try {
            splitQuoted(words, escape);
            expandWords(words, new Map([["A", "b c"]]), { escape });
            expandText(words, new Map(), { escape });
          } catch (thrown) {
            assert.ok(thrown instanceof SyntaxError, String(thrown));
          }
        }
      } catch (thrown) {
        assert.ok(thrown instanceof OperatorError && thrown.exitStatus === 2, String(thrown));
        const { problems } = thrown.details as { readonly problems: readonly { readonly line: number }[] };
        assert.ok(problems.length > 0);
        for (const { line } of problems)
          assert.ok(line >= 1 && line <= file.split(/\r\n|\r|\n/).length, `line ${line}`);
      }
    },
  ),
};
