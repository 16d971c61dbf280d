import assert from "node:assert/strict";
import test from "node:test";
import type { InstanceName, SetName } from "../../model/names.ts";
import { routerSuite } from "../../ports/router.suite.ts";
import { createMemoryRouter } from "./router.ts";

routerSuite("createMemoryRouter()", async () => {
  const router = createMemoryRouter();
  return {
    router,
    endpoint: async (instance) => ({ instance, address: "192.0.2.1", port: 8080 }),
    request: async (host, path, headers) => {
      let request = router.request(host, path, headers);
      while ("waits" in request) {
        await request.waits;
        request = router.request(host, path, headers);
      }
      if (!("end" in request)) return { status: request.status, instance: "" };
      request.end(200, 3);
      return { status: 200, instance: request.instance };
    },
    hold: async (host, path) => {
      const request = router.request(host, path);
      if (!("end" in request)) throw new Error("no instance took it");
      const finish = async (): Promise<boolean> => {
        const whole = request.isOpen();
        request.end(200, 3);
        return whole;
      };
      return { instance: request.instance, finish };
    },
    leave: async () => {
      router.restart();
      return router;
    },
    reboot: async (beginning) => {
      router.reboot();
      await router.start(beginning, new AbortController().signal);
      return router;
    },
    end: () => router.stop(),
  };
});

test("createMemoryRouter() gives each set its exact share, here within one request at any time", async () => {
  const router = createMemoryRouter();
  const signal = new AbortController().signal;
  const names = ["a", "b", "c"] as unknown as readonly [SetName, SetName, SetName];
  for (const set of names)
    await router.place(
      { set, endpoints: [{ instance: `${set}-1` as InstanceName, address: "192.0.2.1", port: 80 }] },
      signal,
    );
  const route = { host: null, path: "/" };
  const canaries = [
    { set: names[1], weight: 100 },
    { set: names[2], weight: 3_333 },
  ];
  await router.route(route, { route, stable: names[0], canaries }, signal);
  const weights = [6_567, 100, 3_333];
  const counts = [0, 0, 0];
  for (let requests = 1; requests <= 20_000; requests += 1) {
    const request = router.request("shop.example", "/");
    assert.ok("end" in request);
    request.end(200, 1);
    const index = names.indexOf(request.set);
    counts[index] = (counts[index] ?? 0) + 1;
    weights.forEach((weight, each) => assert.ok(Math.abs((counts[each] ?? 0) - (requests * weight) / 10_000) <= 1));
  }
  assert.deepEqual(counts, [13_134, 200, 6_666]);
});
