import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

/** The daemon's side of one test: what it answers. */
type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const home = mkdtempSync(join(tmpdir(), "bronze-cli-"));
mkdirSync(join(home, "run"));
mkdirSync(join(home, "project"));
writeFileSync(join(home, "project", "bronze.yaml"), "app: shop\nbuild: { dockerfile: Dockerfile }\n");
after(() => rmSync(home, { recursive: true, force: true }));

function listen(answer: Answer): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answer(request, response, Buffer.concat(chunks).toString()));
  });
  return new Promise((resolve) => server.listen(join(home, "run", "bronze.sock"), () => resolve(server)));
}

/** Ends what runs as Ctrl-C does. */
let interrupt = (): void => {};

function bronze(...args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const env = { PATH: process.env["PATH"], USER: "ada", BRONZE_STATE: home };
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], {
    cwd: join(home, "project"),
    env,
  });
  interrupt = () => child.kill("SIGINT");
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
  return new Promise((resolve) => child.once("close", (status) => resolve({ status, ...output })));
}

async function against(
  answer: Answer,
  ...args: readonly string[]
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const server = await listen(answer);
  try {
    return await bronze(...args);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const json: (value: unknown, status?: number) => Answer =
  (value, status = 200) =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  };
const lines: (...values: readonly unknown[]) => Answer =
  (...values) =>
  (_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const value of values) response.write(`${JSON.stringify(value)}\n`);
    response.end();
  };
const result = {
  release: 12,
  of: null,
  created: true,
  digest: "sha256:1",
  state: "watching",
  watchMs: 60_000,
  elapsedMs: 1234,
  warm: false,
  trust: null,
  overrides: [],
  url: "http://127.0.0.1:8080/",
};

test("bronze without a daemon ends with 9 and says how to start one", async () => {
  const { status, stderr } = await bronze("status");
  assert.equal(status, 9);
  assert.match(stderr, /^error\[DAEMON_UNREACHABLE\]: .*\ncause: .*\nhint: {2}.*bronze up/);
});

test("bronze ends with 2 on a typed slip, and names what was meant", async () => {
  const command = await bronze("rolback");
  assert.equal(command.status, 2);
  assert.match(command.stderr, /did you mean `bronze rollback`/);
  const option = await bronze("status", "--jsno");
  assert.equal(option.status, 2);
  assert.match(option.stderr, /Did you mean --json/);
});

test("bronze --help shows the common commands, help --all also the others", async () => {
  const { stdout, status } = await bronze("--help");
  assert.equal(status, 0);
  assert.match(stdout, /rollback/);
  assert.doesNotMatch(stdout, /completion/);
  assert.match((await bronze("help", "--all")).stdout, /completion/);
});

test("bronze status prints what the daemon reports, and the report itself with --json", async () => {
  const report = { daemon: {}, atMs: 0, environments: [] };
  const plain = await against(json(report), "status");
  assert.deepEqual(
    [plain.status, plain.stdout],
    [0, "nothing has been released yet\nrollback: nothing to go back to\n"],
  );
  const asJson = await against(json(report), "--json", "status");
  assert.deepEqual(JSON.parse(asJson.stdout), report);
});

test("bronze rollback asks for this folder's app and tells what is live now", async () => {
  let asked = "";
  const { status, stdout, stderr } = await against(
    (request, response, body) => {
      asked = `${request.method} ${request.url} ${body}`;
      lines(
        { kind: "progress", atMs: 1, step: "x", text: "switching" },
        { kind: "result", result: { ...result, release: 13, of: 11, warm: true, elapsedMs: 3 } },
      )(request, response, body);
    },
    "rollback",
    "v11",
    "-m",
    "it is slow",
  );
  assert.match(
    asked,
    /^POST \/v1\/rollback {"app":"shop","environment":"production","who":"ada","why":"it is slow","to":11,"request":"[0-9a-f-]{36}"}$/,
  );
  assert.equal(stdout, "v13 (= v11) live at http://127.0.0.1:8080/ in 3 ms from warm instances, watching 1 min\n");
  assert.equal(stderr, "  switching\n");
  assert.equal(status, 0);
});

test("bronze ends with the exit status of the error that a stream carries", async () => {
  const error = { code: "ROLLOUT_UNHEALTHY", message: "Cannot complete rollout", hint: "look", cause: "503" };
  const { status, stderr } = await against(lines({ kind: "error", error }), "rollback");
  assert.equal(status, 5);
  assert.equal(stderr, "error[ROLLOUT_UNHEALTHY]: Cannot complete rollout\ncause: 503\nhint:  look\n");
  const refused = await against(json({ error: { ...error, code: "NOT_FOUND" } }, 404), "releases", "--json");
  assert.equal(refused.status, 4);
  assert.deepEqual(JSON.parse(refused.stdout), { error: { ...error, code: "NOT_FOUND" } });
});

test("bronze picks a rollout up again when the daemon went away and came back", async () => {
  const row = {
    app: "shop",
    environment: "production",
    release: 12,
    of: null,
    type: "rollback",
    who: "ada",
    state: "progressing",
    createdAtMs: Date.now(),
    elapsedMs: 900,
    warm: false,
  };
  let polls = 0;
  let asked = "";
  const { status, stdout, stderr } = await against((request, response, body) => {
    if (request.method === "POST") {
      ({ request: asked } = JSON.parse(body) as { request: string });
      response.writeHead(200).write('{"kind":"progress","atMs":1,"step":"x","text":"starting"}\n');
      setImmediate(() => response.destroy());
    } else if (request.url === "/v1/ping") json({ pid: 7 })(request, response, body);
    else if (request.url?.startsWith("/v1/status") === true)
      json({ environments: [{ url: "http://u/", settings: { watchMs: 0 } }] })(request, response, body);
    else {
      // One of the same kind by the same person was made a moment before.
      const earlier = { ...row, release: 11, state: "proven", request: "another" };
      const own = { ...row, state: (polls += 1) < 2 ? "progressing" : "proven", request: asked };
      json([own, earlier])(request, response, body);
    }
  }, "rollback");
  assert.match(stderr, /the daemon is back \(process 7\), v12 goes on/);
  assert.equal(stdout, "v12 live at http://u/ in 900 ms\n");
  assert.equal(status, 0);
});

test("bronze ends with 9 when the daemon came back and never heard of the work", async () => {
  const { status, stderr } = await against((request, response, body) => {
    if (request.method === "POST") response.destroy();
    else {
      const earlier = { release: 11, type: "rollback", who: "ada", state: "proven", request: "another" };
      json(request.url === "/v1/ping" ? { pid: 7 } : [{ ...earlier, createdAtMs: Date.now() }])(
        request,
        response,
        body,
      );
    }
  }, "rollback");
  assert.equal(status, 9);
  assert.match(stderr, /knows of no such rollback/);
});

test("bronze ends with 9 when the daemon goes away before it answers, or says that it ends", async () => {
  const lost = await against((_request, response) => response.destroy(), "status");
  assert.equal(lost.status, 9);
  assert.match(lost.stderr, /error\[DAEMON_UNREACHABLE\]: .*broke off\n(cause: .*\n)?hint: {2}.*bronze status/);
  const ending = await against(json({ error: "Service Unavailable", statusCode: 503 }, 503), "status", "--json");
  assert.equal(ending.status, 9);
  assert.equal((JSON.parse(ending.stdout) as { error: { code: string } }).error.code, "DAEMON_UNREACHABLE");
});

test("Ctrl-C: what goes on is told once the daemon was asked for it, and before that nothing was changed", async () => {
  const asked: (string | undefined)[] = [];
  const silent: Answer = ({ method }) => {
    asked.push(method);
    interrupt();
  };
  const early = await against(silent, "rollback", "--app", "other", "--file", "none.yaml");
  const late = await against(silent, "rollback", "--app", "shop", "-e", "production");
  assert.deepEqual(asked, ["GET", "POST"]);
  assert.deepEqual([early.status, late.status], [130, 130]);
  assert.match(early.stderr, /hint: +nothing was changed/);
  assert.match(late.stderr, /hint: +what was asked for goes on in the daemon: look with `bronze status`\n$/);
});

test("bronze down --all is done already where no daemon runs", async () => {
  assert.equal((await bronze("down", "--all")).status, 0);
});

test("bronze audit verify ends with 7 on a ledger that does not hold", async () => {
  const { status, stderr } = await against(
    json({
      events: 9,
      head: "sha256:1",
      ok: false,
      damage: { seq: 4, finding: "its hash differs" },
      projectionsEqual: false,
    }),
    "audit",
    "verify",
  );
  assert.equal(status, 7);
  assert.match(stderr, /event 4: its hash differs/);
});

test("bronze logs prints lines with their instance, and control characters visibly", async () => {
  const line = {
    instance: "shop-production-v1-1",
    at: "2026-08-01T12:00:00.123456789+00:00",
    stream: "stderr",
    text: "a\u001b[2Jb",
  };
  const { stdout } = await against(lines(line), "logs", "shop-production-v1-1");
  assert.equal(stdout, "shop-production-v1-1 2026-08-01T12:00:00.123Z ! a\\x1b[2Jb\n");
});

test("bronze completion prints scripts that name every command", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { status, stdout } = await bronze("completion", shell);
    assert.equal(status, 0);
    for (const name of ["rollback", "status", "audit"]) assert.match(stdout, new RegExp(`\\b${name}\\b`));
  }
});

test("bronze tells a failed rollout once, and one that was superseded by another", async () => {
  const aborted = (text: string): object => ({ kind: "progress", atMs: 1, step: "rollout.aborted", text });
  const error = { code: "ROLLOUT_UNHEALTHY", message: "Cannot complete rollout of v2", hint: "look" };
  const { stderr } = await against(
    lines(aborted("v1 aborted: superseded by v2"), aborted("v2 aborted: Cannot complete rollout of v2"), {
      kind: "error",
      error,
    }),
    "rollback",
  );
  assert.equal(
    stderr,
    "  v1 aborted: superseded by v2\nerror[ROLLOUT_UNHEALTHY]: Cannot complete rollout of v2\nhint:  look\n",
  );
});

test("bronze names what is missing of a command of several words, and a moment that has not come", async () => {
  const audit = await bronze("audit");
  assert.equal(audit.status, 2);
  assert.match(audit.stderr, /names a group/);
  assert.match(
    (await bronze("rollout", "--state", "/nowhere")).stderr,
    /names a group, not what to do\nhint: +`bronze rollout --help` shows/,
  );
  assert.match((await bronze("rollout", "pause", "--nothing")).stderr, /unknown option '--nothing'/);
  const future = await bronze("status", "--at", "2999-01-01T00:00:00Z");
  assert.equal(future.status, 2);
  assert.match(future.stderr, /has not come yet/);
  assert.deepEqual(Object.keys(JSON.parse((await bronze("--version", "--json")).stdout) as object), ["version"]);
});

test("bronze logs --follow ends at Ctrl-C with 130 and no complaint", async () => {
  const server = await listen((_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.write(
      `${JSON.stringify({ instance: "shop-production-v1-1", at: "", stream: "stdout", text: "hello" })}\n`,
    );
  });
  try {
    const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), "logs", "-f"], {
      cwd: join(home, "project"),
      env: { PATH: process.env["PATH"], BRONZE_STATE: home },
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.once("data", () => child.kill("SIGINT"));
    const status = await new Promise((resolve) => child.once("close", resolve));
    assert.deepEqual([status, stderr], [130, ""]);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("bronze down does not guess which app is meant in a folder that names none", async () => {
  const environments = [{ app: "blog", environment: "production" }];
  const { status, stderr } = await against(json({ daemon: {}, atMs: 0, environments }), "down", "--file", "none.yaml");
  assert.equal(status, 2);
  assert.match(stderr, /neither options nor this folder name an app.*\nhint: {2}.*there are: blog production/);
});
