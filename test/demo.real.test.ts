import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import test from "node:test";

interface Figures {
  readonly availability_during_deploy_pct: number | null;
  readonly deploy_rollback_time_ms: number | null;
  readonly config_drift_pct: number | null;
  readonly instance_age_hours: number | null;
}

interface DemoResult {
  readonly rollouts: readonly {
    readonly rollout: string;
    readonly requests: number;
    readonly failed: number;
    readonly figures: Figures;
  }[];
  readonly drift: { readonly before: number; readonly during: number; readonly after: number };
  readonly tamper: readonly { readonly attempt: string; readonly outcome: string }[];
}

function runDemo(): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(import.meta.dirname, "..", "bronze"), ["demo", "-y", "--json"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}

test(
  "the demo keeps every promise it makes, and its last line is one object that says so",
  { timeout: 400_000 },
  async () => {
    const { status, stdout, stderr } = await runDemo();
    assert.equal(status, 0, `${stdout}${stderr}`);
    const { rollouts, drift, tamper } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as DemoResult;
    assert.equal(rollouts.length, 4);
    const [replaced, unhealthy, takenBack, back] = rollouts;
    for (const one of [replaced, unhealthy, back]) {
      assert.equal(one?.failed, 0, one?.rollout ?? "");
      assert.equal(one?.figures.availability_during_deploy_pct, 100, one?.rollout ?? "");
      assert.ok((one?.requests ?? 0) > 100, `${one?.rollout}: ${one?.requests} requests`);
    }
    assert.ok((takenBack?.failed ?? 0) > 0, "v4 costs what its errors cost");
    assert.ok((takenBack?.figures.availability_during_deploy_pct ?? 100) < 100);
    assert.ok((back?.figures.deploy_rollback_time_ms ?? 0) > 0);
    assert.deepEqual([drift.before, drift.after], [0, 0]);
    assert.ok(drift.during > 0);
    assert.equal(tamper.length, 3);
  },
);
