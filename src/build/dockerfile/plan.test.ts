import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../../errors/operator-error.ts";
import { parseDockerfile } from "./parse.ts";
import { imagesOf, planDockerfile, type DockerfilePlan } from "./plan.ts";

function plan(text: string, target: string | null = null, args: Record<string, string> = {}): DockerfilePlan {
  const options = { file: "Dockerfile", target, buildArgs: new Map(Object.entries(args)), platform: "linux/amd64" };
  return planDockerfile(parseDockerfile(text, "Dockerfile"), options);
}

const numerically = (a: number, b: number): number => a - b;

const four = [
  "FROM a AS one",
  "FROM one AS two",
  "COPY --from=0 x y",
  "FROM b AS three",
  "FROM two",
  "COPY --from=ghcr.io/x/y:1 a b",
  "RUN --mount=from=three,target=/m x",
].join("\n");

test("`planDockerfile()` needs what the target needs, and no other stage", () => {
  assert.deepEqual([...plan(four).needed].toSorted(numerically), [0, 1, 2, 3]);
  assert.deepEqual([...plan(four, "Two").needed].toSorted(numerically), [0, 1]);
  assert.deepEqual([...plan(four, "2").needed], [2]);
});

test("`planDockerfile()` finds what each stage begins with, by the nearest name before it", () => {
  const { stages } = plan("FROM a AS a\nFROM a AS a\nFROM A\nFROM scratch\n");
  assert.deepEqual(
    stages.map(({ from }) => from),
    [{ kind: "image", name: "a" }, { kind: "stage", index: 0 }, { kind: "stage", index: 1 }, { kind: "scratch" }],
  );
});

test("`imagesOf()` names every image once", () => {
  assert.deepEqual(
    imagesOf(plan(four)).map(({ name }) => name),
    ["a", "b", "ghcr.io/x/y:1"],
  );
});

test("`planDockerfile()` puts global arguments into FROM, those that were given first", () => {
  const text = "ARG V=1\nARG IMAGE=node:${V}\nFROM --platform=$BUILDPLATFORM $IMAGE\n";
  assert.deepEqual(plan(text).stages[0]?.from, { kind: "image", name: "node:1" });
  assert.deepEqual(plan(text, null, { V: "2" }).stages[0]?.from, { kind: "image", name: "node:2" });
  assert.equal(plan(text).globals.get("TARGETARCH"), "amd64");
});

test("`planDockerfile()` gives a stage the platform it names, else that of the stage it begins with", () => {
  const { stages } = plan(
    "FROM --platform=linux/arm64/v8 a AS x\nFROM x\nFROM --platform=arm64 b\nCOPY --from=1 a b\nFROM c\n",
  );
  assert.deepEqual(
    stages.map(({ platform }) => platform),
    ["linux/arm64", "linux/arm64", "linux/arm64", "linux/amd64"],
  );
});

const refusals: readonly (readonly [text: string, words: RegExp])[] = [
  ["FROM $NONE\n", /line 1: FROM \$NONE names nothing/],
  ["FROM a\nCOPY --from=0 x y\n", /line 2: --from=0 is the stage in which it stands/],
  ["FROM a\nCOPY --from=7 x y\n", /line 2: --from=7: there are 1 stages/],
  ["FROM a AS builder\nFROM b\nCOPY --from=bulder x y\n", /line 3: .*did you mean "builder"/],
  [
    "FROM a AS x\nCOPY --from=y q q\nFROM b AS y\nCOPY --from=x q q\n",
    /line 2: stages need each other in a circle: y → x → y/,
  ],
  ["FROM --platform=linux/arm64 a\nRUN x\n", /line 2: RUN in a stage for linux\/arm64 is not supported/],
  ["FROM --platform=windows/amd64 a\n", /windows/],
  ['ARG A="${B:?say B}"\nFROM a\n', /line 1: B: say B/],
];

for (const [text, words] of refusals) {
  test(`\`planDockerfile()\` refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => plan(text),
      (error) => error instanceof OperatorError && words.test(error.message),
    );
  });
}

test("`planDockerfile()` names the stages there are when the target is none of them", () => {
  assert.throws(
    () => plan(four, "fuor"),
    (error) => error instanceof OperatorError && error.code === "NOT_FOUND" && /one, two, three/.test(error.hint),
  );
});

test("`planDockerfile()` follows a chain of 10,000 stages, and sees its circle", () => {
  const chain = Array.from({ length: 10_000 }, (_, i) => (i === 0 ? "FROM a AS s0" : `FROM s${i - 1} AS s${i}`));
  assert.equal(plan(chain.join("\n")).needed.size, 10_000);
  const closed = chain.map((line, i) => (i === 0 ? `${line}\nCOPY --from=s9999 x y` : line));
  assert.throws(() => plan(closed.join("\n")), /circle/);
});
