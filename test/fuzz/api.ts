import assert from "node:assert/strict";
import fc from "fast-check";
import { errorOf, request, sendRaw, statusOf } from "../support/socket.ts";
import type { FuzzTarget } from "./target.ts";

const paths =
  "ping status releases release history logs audit deploy rollback config scale down wait secrets secret/set secret/revoke secret/remove nosuch"
    .split(" ")
    .map((name) => `/v1/${name}`);
const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    "shop",
    "production",
    "",
    0,
    1,
    -1,
    1e300,
    null,
    false,
    "\ud800",
    "a\0b",
    `sha256:${"0".repeat(64)}`,
    [],
    {},
  ),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.double(),
);
const keys =
  "app environment who why instances to release artifact settings environmentSettings config secrets name value variable rotate version yes set unset commit command port health drainMs route __proto__ constructor mend".split(
    " ",
  );
// Never `all`: with it a request would be right, and end the daemon.
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    leaf,
    fc.array(tie("tree"), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom(...keys), tie("tree"), { maxKeys: 6 }),
  ),
}));
const named = fc.record(
  {
    app: fc.constant("nosuch"),
    environment: fc.constant("production"),
    who: leaf,
    why: leaf,
    instances: leaf,
    to: leaf,
    release: leaf,
  },
  { requiredKeys: [] },
);
const body = fc.oneof(tree, named).map((value) => JSON.stringify(value) ?? "");
const query = fc
  .dictionary(
    fc.constantFrom("app", "environment", "at", "release", "limit", "after", "instance", "lines", "follow", "x"),
    fc.string({ unit: "binary", maxLength: 6 }),
    { maxKeys: 3 },
  )
  .map((pairs) =>
    new URLSearchParams(Object.entries(pairs).map(([name, value]) => [name, value.toWellFormed()])).toString(),
  );
const whole = fc
  .tuple(fc.constantFrom("GET", "POST", "PUT", "HEAD", "OPTIONS"), fc.constantFrom(...paths), query, body)
  .filter(([, path, parameters]) => !(path.endsWith("logs") && parameters.includes("follow=1")))
  .map(([method, path, parameters, text]) => request(method, `${path}?${parameters}`, method === "GET" ? "" : text));
const mutated = fc
  .tuple(
    whole,
    fc.array(fc.tuple(fc.nat(400), fc.nat(8), fc.string({ unit: "binary-ascii", maxLength: 4 })), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([text, edits]) => edits.reduce((now, [at, cut, put]) => now.slice(0, at) + put + now.slice(at + cut), text));

/**
 * Whatever comes over its socket, the daemon answers with no fault of its own, and goes on.
 *
 * @param socket of a real daemon that runs no app
 */
export function apiTarget(socket: string): FuzzTarget {
  return {
    name: "api",
    weight: 5,
    property: fc.asyncProperty(
      fc.oneof({ weight: 4, arbitrary: whole }, { weight: 1, arbitrary: mutated }),
      async (text) => {
        // Cut requests are waited for by a server that must; the blank lines end their headers.
        const { text: answer } = await sendRaw(socket, Buffer.from(text, "utf8"), 150);
        const status = statusOf(answer);
        assert.ok(status < 500, `${status}: ${answer.slice(0, 500)}`);
        assert.notEqual(errorOf(answer)?.code, "INTERNAL", answer.slice(0, 500));
        if (status >= 400 && !text.startsWith("HEAD")) assert.ok(errorOf(answer) !== undefined, answer.slice(0, 500));
      },
    ),
  };
}
