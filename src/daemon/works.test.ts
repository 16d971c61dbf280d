import assert from "node:assert/strict";
import { test } from "node:test";
import fastify from "fastify";
import { watchWorks } from "./works.ts";

test("`watchWorks()` knows what is worked on, gives its answer a moment, and refuses what comes too late", async (t) => {
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  const works = watchWorks(app);
  const begun = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  app.post("/v1/deploy", async () => {
    begun.resolve();
    await done.promise;
    return { ok: true };
  });
  app.post("/v1/down", () => works.anyLeft());
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const down = async (): Promise<unknown> => (await fetch(`${url}/v1/down`, { method: "POST" })).json();

  assert.equal(await down(), false, "`down` does not wait for itself");
  const deploy = fetch(`${url}/v1/deploy`, { method: "POST" });
  await begun.promise;
  assert.equal(await down(), true, "what takes longer keeps the daemon");
  const ending = down();
  done.resolve();
  assert.equal(await ending, false);
  assert.deepEqual(await (await deploy).json(), { ok: true });

  const cut = new AbortController();
  const aborted = fetch(`${url}/v1/nothing`, { method: "POST", signal: cut.signal });
  cut.abort();
  await aborted.catch(() => {});
  assert.equal(await down(), false, "who went away counts no more");

  works.refuse();
  const refused = await fetch(`${url}/v1/deploy`, { method: "POST" });
  assert.equal(refused.status, 500);
  assert.match(await refused.text(), /nothing is up, and the daemon ends/);
});
