import assert from "node:assert/strict";
import { test } from "node:test";
import { webProcess, type AppName, type InstanceName, type ProcessName } from "../model/names.ts";
import type { RollbackReadiness, StatusReport } from "../model/api/status.ts";
import { createPaint, plainPaint } from "./paint.ts";
import { renderReadiness, renderStatus } from "./status.ts";

const ready: RollbackReadiness = {
  target: 11,
  warm: 4,
  wanted: 4,
  workers: [],
  stopsFor: [],
  leaves: [],
  probedAgoMs: 400,
  lastMeasuredMs: 3,
  ready: true,
  withinMs: null,
  promiseKept: true,
};

test("`renderStatus()` says first what is wrong with disk and stored bytes, and still ends with the rollback", () => {
  const lines = renderStatus({ ...report, storage: ["the disk is nearly full"] }, plainPaint);
  assert.equal(lines[0], "warning: the disk is nearly full");
  assert.match(lines.at(-1) ?? "", /^rollback/);
});

/** A report as the daemon sends it. */
const report = {
  daemon: { version: "0.1.0", pid: 1, uptimeMs: 1, url: "http://127.0.0.1:8080" },
  atMs: 0,
  environments: [
    {
      app: "shop",
      environment: "production",
      route: { host: null, path: "/" },
      url: "http://127.0.0.1:8080/",
      settings: {
        instances: 1,
        strategy: { kind: "blue-green", holdMs: 0 },
        deadlineMs: 1,
        keepWarmMs: 1,
        withinMs: null,
        watchMs: 60_000,
        route: { host: null, path: "/" },
      },
      live: {
        release: 13,
        of: 11,
        digest: "sha256:1",
        artifact: `sha256:${"ab".repeat(32)}`,
        state: "watching",
        sinceMs: 18_000,
        watchEndsInMs: 42_000,
      },
      trust: null,
      overrides: [],
      rollout: {
        release: 14,
        of: null,
        type: "deploy",
        strategy: "blue-green",
        because: null,
        healthy: 0,
        wanted: 1,
        sinceMs: 500,
        deadlineInMs: 599_500,
        step: 0,
        steps: null,
        weight: 0,
        sets: [],
        holdLeftMs: null,
        paused: null,
        hurried: false,
      },
      quarantined: [],
      wanted: 1,
      healthy: 1,
      stopFirst: null,
      workers: [],
      tasks: [],
      instances: [
        {
          name: "shop-production-v11-1",
          set: "shop-production-v11",
          process: webProcess,
          release: 11,
          role: "live",
          health: "healthy",
          address: "10.128.0.2",
          pid: 7,
          ageMs: 3_600_000,
          probedAgoMs: 300,
          drift: [],
          unkept: [],
        },
        {
          name: "shop-production-v14-1",
          set: "shop-production-v14",
          process: webProcess,
          release: 14,
          role: "next",
          health: "starting",
          address: null,
          pid: null,
          ageMs: 500,
          probedAgoMs: null,
          drift: ["1 process entered"],
          unkept: [],
        },
      ],
      rollback: ready,
      figures: {
        availability_during_deploy_pct: 100,
        deploy_rollback_time_ms: 3.21,
        config_drift_pct: 0,
        instance_age_hours: null,
      },
      warnings: ["not enough memory to keep v9 warm"],
    },
  ],
} as unknown as StatusReport;

test("renderStatus() shows release, instances, figures and warnings, and ends with what a rollback would do", () => {
  assert.deepEqual(renderStatus(report, plainPaint), [
    "shop production  http://127.0.0.1:8080/",
    "live v13 (= v11), watching, 42 s left, 1/1 healthy, for 18 s, artifact sha256:abababababab",
    "rollout to v14: 0/1 healthy after 500 ms, deadline in 10 min",
    "  INSTANCE               ROLE  HEALTH    ADDRESS     AGE     PROBED",
    "  shop-production-v11-1  live  healthy   10.128.0.2  1 h     300 ms ago",
    "  shop-production-v14-1  next  starting  -           500 ms  -           drift: 1 process entered",
    "availability_during_deploy_pct 100  deploy_rollback_time_ms 3.2  config_drift_pct 0  instance_age_hours -",
    "warning: not enough memory to keep v9 warm",
    "rollback ready: v11, 4/4 warm, probed 0.4 s ago, last measured 3 ms",
  ]);
});

test("renderStatus() names the tasks under way, what they run and who asked for them", () => {
  const [environment] = report.environments;
  assert.ok(environment);
  const instance = "shop-production-v14-release-1" as InstanceName;
  const task = {
    instance,
    release: 14,
    command: ["node", "migrate.js"],
    sinceMs: 2_000,
    deadlineInMs: 60_000,
    who: null,
  };
  const tasks = [task, { ...task, command: ["sh", "-c", "echo a b"], deadlineInMs: null, who: "ada" }];
  const lines = renderStatus({ ...report, environments: [{ ...environment, tasks }] }, plainPaint);
  assert.deepEqual(lines.slice(3, 5), [
    "task shop-production-v14-release-1: node migrate.js, for 2 s, deadline in 1 min",
    'task shop-production-v14-release-1: sh -c "echo a b", for 2 s, by ada',
  ]);
});

test("renderStatus() counts workers beside web, names their process, and says which start only at a rollback", () => {
  const process = "worker" as ProcessName;
  const environments = report.environments.map((environment) => {
    const [first] = environment.instances;
    assert.ok(first);
    const name = "shop-production-v11-worker-3" as typeof first.name;
    return {
      ...environment,
      workers: [{ process, wanted: 2, running: 1, healthy: 1 }],
      instances: [{ ...first, name, process, probedAgoMs: null }],
      rollback: { ...ready, workers: [{ process, count: 2 }] },
    };
  });
  const lines = renderStatus({ ...report, environments }, plainPaint);
  assert.match(lines[1] ?? "", /, 1\/1 healthy, 1\/2 worker, for 18 s/);
  assert.deepEqual(lines.slice(3, 5), [
    "  INSTANCE                      PROCESS  ROLE  HEALTH   ADDRESS     AGE  PROBED",
    "  shop-production-v11-worker-3  worker   live  healthy  10.128.0.2  1 h  -",
  ]);
  assert.equal(
    lines.at(-1),
    "rollback ready: v11, 4/4 warm, 2 worker to start then, probed 0.4 s ago, last measured 3 ms",
  );
});

test("renderStatus() says what stop-first costs, and what would be lost with instances", () => {
  const stopFirst = { volumes: ["data"], drainMs: 30_000, lastMs: 809, yieldsTo: null };
  const show = (change: object, unkept: readonly object[] = []): readonly string[] => {
    const environments = report.environments.map((environment) => ({
      ...environment,
      ...change,
      instances: environment.instances.map((instance) => ({ ...instance, unkept })),
    })) as StatusReport["environments"];
    return renderStatus({ ...report, environments }, plainPaint);
  };
  assert.equal(
    show({ stopFirst })[2],
    "stop-first: one instance has volume data at a time, so each release ends what is live before it starts; requests wait meanwhile (drain up to 30 s, and the start, last time 809 ms)",
  );
  assert.equal(
    show({ stopFirst: { ...stopFirst, yieldsTo: 14 } })[2],
    "what is live has ended for v14, which gets its volumes: requests wait",
  );
  assert.deepEqual(
    show({}, [{ path: "/tmp", bytes: 4096, files: 2 }]).filter((line) => line.includes("not kept")),
    ["  not kept: /tmp holds 8.0 KiB in 4 files of 2 instances, lost with them"],
  );
});

test("renderStatus() says which rollout a rollback would only end", () => {
  const environments = report.environments.map((one) => ({ ...one, rollback: { ...ready, ends: 14 } }));
  assert.equal(
    renderStatus({ ...report, environments }, plainPaint).at(-1),
    "rollback: ends v14 before it is live, v13 (= v11) stays live",
  );
  const many = Array.from({ length: 9 }, () => environments).flat();
  assert.match(renderStatus({ ...report, environments: many }, plainPaint)[1] ?? "", / {2}ends v14 {2}/);
});

test("renderStatus() ends with the rollback line also where nothing was ever released", () => {
  assert.deepEqual(renderStatus({ ...report, environments: [] }, plainPaint), [
    "nothing has been released yet",
    "rollback: nothing to go back to",
  ]);
});

test("renderReadiness() never says ready when it is not", () => {
  assert.equal(
    renderReadiness(
      { ...ready, warm: 1, ready: false, lastMeasuredMs: null, withinMs: 5000, promiseKept: false },
      plainPaint,
    ),
    "rollback from cold: v11, 1/4 warm, probed 0.4 s ago, never measured, the promised 5 s cannot be kept",
  );
  assert.equal(
    renderReadiness({ ...ready, target: null, ready: false }, plainPaint),
    "rollback: nothing to go back to",
  );
});

test("createPaint() colours on terminals only, and never with NO_COLOR", () => {
  assert.equal(createPaint(true, {}).bold("x"), "\u001b[1mx\u001b[22m");
  assert.equal(createPaint(true, { NO_COLOR: "1" }).bold("x"), "x");
  assert.equal(createPaint(false, {}).bold("x"), "x");
});

test("`renderStatus()` gives each of many environments one line, with what is not as it should be", () => {
  const [environment] = report.environments;
  assert.ok(environment);
  const environments = Array.from({ length: 9 }, (_, i) => ({ ...environment, app: `app${i + 1}` as AppName }));
  const lines = renderStatus({ ...report, environments }, plainPaint);
  assert.equal(lines.length, environments.length + 3);
  assert.match(
    lines[1] ?? "",
    /^app1 +production +v13 \(= v11\) +watching +1\/1 +18 s +v\d+ (ready|cold) +http\S+ +rollout to v14, 1 drifted/,
  );
  assert.equal(lines.at(-1), "one app in full: bronze status --app APP");
});
