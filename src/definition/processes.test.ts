import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { contentDigest, defaultRunSettings, type RunSettings } from "../model/content.ts";
import { sha256 } from "../model/canonical.ts";
import { parseDefinition } from "./parse.ts";

const text = (rest: string): string => `app: shop\nbuild: { dockerfile: Dockerfile }\n${rest}`;
const parse = (rest: string) => parseDefinition(text(rest), "bronze.yaml");

function problemsOf(rest: string): readonly string[] {
  try {
    parse(rest);
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError && thrown.cause instanceof Error, String(thrown));
    return thrown.cause.message.split("\n");
  }
  throw new Error("no problem was found");
}

test("parseDefinition() reads processes with their own command, resources, drain and volumes", () => {
  const { run, environments } = parse(`processes:
  worker:
    command: [node, worker.js]
    instances: 2
    resources: { memory: 64Mi }
    drain: 10s
    volumes: { inbox: { path: /inbox, shared: true } }
  clock: { command: [node, clock.js] }
`);
  assert.deepEqual(run.processes, {
    worker: {
      command: ["node", "worker.js"],
      resources: { memoryBytes: 64 * 1024 * 1024, cpu: null, pids: 256 },
      drainMs: 10_000,
      volumes: { inbox: { path: "/inbox", sharing: "shared", snapshot: false } },
    },
    clock: { command: ["node", "clock.js"], resources: defaultRunSettings.resources, drainMs: 30_000 },
  });
  assert.deepEqual(environments[0]?.settings.processes, { worker: 2 });
});

test("parseDefinition() gives each environment the definition's numbers, and its own over them", () => {
  const { environments } = parse(`processes:
  worker: { command: [w], instances: 2 }
  clock: { command: [c] }
environments:
  staging: { processes: { worker: 1, clock: 0 } }
  production: { instances: 4, processes: { worker: 3 } }
`);
  assert.deepEqual(
    environments.map(({ settings }) => settings.processes),
    [{ clock: 0 }, { worker: 3 }],
  );
});

test("parseDefinition() says nothing of processes where there are none, so that contents keep their digests", () => {
  const [without, empty] = [parse(""), parse("processes: {}\n")];
  assert.deepEqual(empty, without);
  assert.ok(!("processes" in without.run));
  assert.ok(!("processes" in (without.environments[0]?.settings ?? {})));
  const content = { artifact: sha256("a"), config: {}, secrets: {}, settings: without.run as unknown as RunSettings };
  assert.doesNotThrow(() => contentDigest(content));
});

test("parseDefinition() takes what run says as processes.web too", () => {
  const rest = "{ command: [serve], port: 3000, resources: { pids: 9 } }\n";
  assert.deepEqual(parse(`processes:\n  web: ${rest}`), parse(`run: ${rest}`));
});

const worker = "processes: { worker: { command: [w] } }\n";
const refused: readonly (readonly [string, string, RegExp])[] = [
  [
    "web in both places",
    "run: { port: 80 }\nprocesses: { web: { port: 80 } }\n",
    /:4:.* processes\.web: is the same as run:/,
  ],
  ["no command", "processes: { worker: { instances: 2 } }\n", /:3:.* processes\.worker: command: is missing/],
  ["a command that is a line", "processes: { worker: { command: node w.js } }\n", /must be a list of words/],
  [
    "a task's name",
    "processes: { release: { command: [m] } }\n",
    /processes\.release: the names release, run, test, check/,
  ],
  ["a name like a release", "processes: { v2: { command: [m] } }\n", /not like a release/],
  ["a name in capitals", "processes: { Worker: { command: [m] } }\n", /lower-case letters/],
  ["too many", "processes: { worker: { command: [w], instances: 257 } }\n", /whole number from 0 to 256/],
  ["a key of run", "processes: { worker: { command: [w], tmpfs: [/x] } }\n", /"tmpfs" belongs under run$/],
  ["a misspelt key", "processes: { worker: { comand: [w], command: [w] } }\n", /did you mean "command"/],
  [
    "a process that is not there",
    `${worker}environments: { production: { processes: { wroker: 2 } } }\n`,
    /environments\.production\.processes\.wroker: there is no process "wroker"; did you mean "worker"\?/,
  ],
  [
    "web's number among the others",
    `${worker}environments: { production: { processes: { web: 2 } } }\n`,
    /is written as instances:/,
  ],
  [
    "an exclusive volume for two",
    "processes: { worker: { command: [w], instances: 2, volumes: { data: /data } } }\n",
    /2 instances of worker want volume "data", which is exclusive/,
  ],
  [
    "a volume that web has, written as a process",
    "processes: { web: { volumes: { data: /data } }, worker: { command: [w], volumes: { data: /data } } }\n",
    /processes\.worker\.volumes\.data: volume "data" is exclusive and process web has it/,
  ],
];

for (const [what, rest, problem] of refused)
  test(`parseDefinition() refuses ${what}`, () => {
    const problems = problemsOf(rest);
    assert.ok(
      problems.some((line) => problem.test(line)),
      problems.join("\n"),
    );
  });
