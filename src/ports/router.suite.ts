import assert from "node:assert/strict";
import test from "node:test";
import type { Route } from "../model/content.ts";
import type { InstanceName, SetName } from "../model/names.ts";
import { weightsOf } from "../model/route-rule.ts";
import type { Endpoint, Router, RouterBeginning, RouteRule } from "./router.ts";

/** A request that its instance has not answered. */
export interface HeldRequest {
  readonly instance: string;
  /** Lets the instance answer. @returns true when the client got the whole answer */
  finish(): Promise<boolean>;
}

/** A machine to try a router on. */
export interface RouterBench {
  readonly router: Router;
  /** Something that answers requests with its own name. */
  endpoint(instance: InstanceName): Promise<Endpoint>;
  /** @param headers by lower-case name */
  request(
    host: string,
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly instance: string }>;
  hold(host: string, path: string): Promise<HeldRequest>;
  /** The daemon ends and another starts. @returns its router, started */
  leave(): Promise<Router>;
  /** The machine is started again. @returns its router, started */
  reboot(beginning: RouterBeginning): Promise<Router>;
  end(): Promise<void>;
}

const signal = new AbortController().signal;
const anywhere: Route = { host: null, path: "/" };
const v1 = "shop-production-v1" as SetName;
const v2 = "shop-production-v2" as SetName;
const v3 = "shop-production-v3" as SetName;
const v4 = "shop-production-v4" as SetName;
const v5 = "shop-production-v5" as SetName;
const nameOf = (set: SetName, ordinal: number): InstanceName => `${set}-${ordinal}` as InstanceName;

/** What every router does. @param open gives a started one that routes nothing */
export function routerSuite(name: string, open: () => Promise<RouterBench>): void {
  function check(title: string, body: (bench: RouterBench) => Promise<void>): void {
    test(`${name}: ${title}`, { timeout: 60_000 }, async () => {
      const bench = await open();
      try {
        await body(bench);
      } finally {
        await bench.end();
      }
    });
  }

  async function place(bench: RouterBench, set: SetName, count: number): Promise<readonly Endpoint[]> {
    const endpoints: Endpoint[] = [];
    for (let ordinal = 1; ordinal <= count; ordinal += 1) endpoints.push(await bench.endpoint(nameOf(set, ordinal)));
    await bench.router.place({ set, endpoints }, signal);
    return endpoints;
  }

  /** Makes requests, some at a time. @returns how many of them each set answered, all with 200 */
  async function shares(bench: RouterBench, requests: number): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    let left = requests;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const { status, instance } = await bench.request("shop.example", "/");
        assert.equal(status, 200);
        const set = instance.replace(/-[0-9]+$/, "");
        found[set] = (found[set] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    return found;
  }

  /** Waits for what the request log tells a moment later. */
  async function counted(
    router: Router,
    set: SetName,
    requests: number,
  ): Promise<ReturnType<Router["traffic"]> extends ReadonlyMap<SetName, infer C> ? C : never> {
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const counts = router.traffic().get(set);
      if (counts !== undefined && counts.requests >= requests) return counts;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new assert.AssertionError({
      message: `${requests} requests of ${set} were never counted`,
      actual: router.traffic(),
    });
  }

  check("route() sends every later request to the set", async (bench) => {
    await place(bench, v1, 2);
    await place(bench, v2, 2);
    for (const set of [v1, v2, v1, v2]) {
      await bench.router.route(anywhere, { route: anywhere, stable: set }, signal);
      for (let n = 0; n < 6; n += 1) {
        const answer = await bench.request("shop.example", "/x");
        assert.equal(answer.status, 200);
        assert.ok(answer.instance.startsWith(`${set}-`), `${answer.instance} answered for ${set}`);
      }
    }
  });

  check(
    "route() answers 404 without a route, 503 without an endpoint, and 404 again when the route is taken away",
    async (bench) => {
      assert.equal((await bench.request("shop.example", "/")).status, 404);
      const [endpoint] = await place(bench, v1, 1);
      await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
      await bench.router.drain(v1, [endpoint!.instance]);
      assert.equal((await bench.request("shop.example", "/")).status, 503);
      const counts = await counted(bench.router, v1, 1);
      assert.equal(counts.status["5xx"], 1);
      await bench.router.route(anywhere, null, signal);
      assert.equal((await bench.request("shop.example", "/")).status, 404);
    },
  );

  check("route() with hold keeps requests waiting, and they go to what the route says then", async (bench) => {
    const [old] = await place(bench, v1, 1);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    const open = await bench.hold("shop.example", "/hold");
    const held = { route: anywhere, stable: v1, hold: true };
    await bench.router.route(anywhere, held, signal);
    assert.deepEqual((await bench.router.observe()).rules, [held]);
    let answered = 0;
    const ask = async (): Promise<string> => {
      const { status, instance } = await bench.request("shop.example", "/x");
      answered += 1;
      return `${status} ${instance}`;
    };
    const waiting = [ask(), ask(), ask()];
    await bench.router.drain(v1, [old!.instance]);
    assert.equal(await open.finish(), true);
    await bench.router.cut(v1, [old!.instance]);
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(answered, 0);
    await place(bench, v2, 1);
    const router = await bench.leave();
    assert.equal(answered, 0);
    await router.route(anywhere, { route: anywhere, stable: v2 }, signal);
    assert.deepEqual(await Promise.all(waiting), Array(3).fill(`200 ${nameOf(v2, 1)}`));
    await router.route(anywhere, { route: anywhere, stable: v2, hold: true }, signal);
    const last = ask();
    await router.route(anywhere, null, signal);
    assert.equal(await last, "404 ");
  });

  check("route() refuses a set that was not placed and changes nothing", async (bench) => {
    await place(bench, v1, 1);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    const before = await bench.router.observe();
    await assert.rejects(bench.router.route(anywhere, { route: anywhere, stable: v2 }, signal), { code: "NOT_FOUND" });
    assert.deepEqual(await bench.router.observe(), before);
  });

  check("place() refuses to free a set that a route leads to and changes nothing", async (bench) => {
    await place(bench, v1, 1);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    await assert.rejects(bench.router.place({ set: v1, endpoints: [] }, signal), { code: "ROUTER_FAILED" });
    assert.equal((await bench.request("shop.example", "/")).status, 200);
  });

  check(
    "route() takes the longest path, whole segments only, the host before any host, without its case and port",
    async (bench) => {
      const names = ["root", "api", "deep", "own"] as const;
      const set = (which: string): SetName => `${which}-production-v1` as SetName;
      const routes: Record<(typeof names)[number], Route> = {
        root: anywhere,
        api: { host: null, path: "/api/" },
        deep: { host: null, path: "/api/deep/" },
        own: { host: "own.example", path: "/" },
      };
      for (const which of names) {
        await place(bench, set(which), 1);
        await bench.router.route(routes[which], { route: routes[which], stable: set(which) }, signal);
      }
      const cases: readonly (readonly [string, string, string])[] = [
        ["a.example", "/", "root"],
        ["a.example", "/api", "api"],
        ["a.example", "/api?x=/", "api"],
        ["a.example", "/apix", "root"],
        ["a.example", "/api/x", "api"],
        ["a.example", "/api/deep/x", "deep"],
        ["a.example", "/api/deeper", "api"],
        ["OWN.example:8080", "/api/deep", "own"],
        ["not-own.example", "/", "root"],
      ];
      for (const [host, path, which] of cases) {
        const answer = await bench.request(host, path);
        assert.equal(answer.instance, `${set(which)}-1`, `${host}${path}`);
      }
    },
  );

  check("route() gives a canary all at 10000 and nothing at 0", async (bench) => {
    await place(bench, v1, 1);
    await place(bench, v2, 1);
    for (const [weight, set] of [
      [0, v1],
      [10_000, v2],
    ] as const) {
      await bench.router.route(anywhere, { route: anywhere, stable: v1, canaries: [{ set: v2, weight }] }, signal);
      assert.deepEqual(await shares(bench, 200), { [set]: 200 });
    }
  });

  check("route() gives each of several sets its share, and the stable one the rest", async (bench) => {
    for (const set of [v1, v2, v3, v4]) await place(bench, set, set === v4 ? 2 : 1);
    const canaries = [
      { set: v2, weight: 100 },
      { set: v3, weight: 1_000 },
      { set: v4, weight: 5_000 },
    ];
    const rule = { route: anywhere, stable: v1, canaries };
    await bench.router.route(anywhere, rule, signal);
    assert.deepEqual((await bench.router.observe()).rules, [rule]);
    const requests = 4_000;
    const found = await shares(bench, requests);
    for (const { set, weight } of weightsOf(rule)) {
      const distance = Math.abs((found[set] ?? 0) - (requests * weight) / 10_000);
      assert.ok(distance <= 8, `${found[set] ?? 0} of ${requests} at ${weight}`);
    }
    assert.equal(
      Object.values(found).reduce((sum, count) => sum + count, 0),
      requests,
    );
  });

  check("route() refuses weights beyond all requests, too many sets, and one twice; nothing changes", async (bench) => {
    for (const set of [v1, v2, v3, v4, v5]) await place(bench, set, 1);
    const before = { route: anywhere, stable: v1, canaries: [{ set: v2, weight: 3 }] };
    await bench.router.route(anywhere, before, signal);
    const canary = (set: SetName, weight: number) => ({ set, weight });
    for (const canaries of [
      [canary(v2, 10_001)],
      [canary(v2, -1)],
      [canary(v2, 0.5)],
      [canary(v2, 6_000), canary(v3, 4_001)],
      [canary(v2, 1), canary(v2, 1)],
      [canary(v1, 1)],
      [v2, v3, v4, v5].map((set) => canary(set, 1)),
    ]) {
      const change = bench.router.route(anywhere, { route: anywhere, stable: v1, canaries }, signal);
      await assert.rejects(change, { code: "ARGUMENT_INVALID" }, JSON.stringify(canaries));
    }
    assert.deepEqual((await bench.router.observe()).rules, [before]);
  });

  check("route() sends who asks for a set by header or cookie there, whatever the weights", async (bench) => {
    for (const set of [v1, v2, v3]) await place(bench, set, 1);
    const header = (value: string) => ({ "x-bronze-release": value });
    const cookie = (value: string) => ({ cookie: `a=stable; bronze-release=${value}; b=canary` });
    const cases: readonly (readonly [Readonly<Record<string, string>>, SetName | null])[] = [
      [header("stable"), v1],
      [header("canary"), v2],
      [header("v1"), v1],
      [header("v2"), v2],
      [header("v3"), v3],
      [header("V3"), v3],
      [cookie("stable"), v1],
      [cookie("canary"), v2],
      [cookie("v3"), v3],
      [{ ...header("stable"), ...cookie("canary") }, v1],
      [{ ...header("v3"), ...cookie("stable") }, v3],
      [{ ...header(""), ...cookie("v3") }, v3],
      [{ ...header("v4"), ...cookie("v1") }, null],
      [header("v4"), null],
      [header("v"), null],
      [header("production-v1"), null],
      [header("hold"), null],
      [header("-"), null],
      [cookie(""), null],
      [{ cookie: "x-bronze-release=v3; bronze-releases=v3" }, null],
      [{}, null],
    ];
    // The weights leave all requests to one set, in turn to each: who asks for nothing known goes there.
    for (const [whole, weights] of [
      [v1, [0, 0]],
      [v2, [10_000, 0]],
      [v3, [0, 10_000]],
    ] as const) {
      const canaries = [v2, v3].map((set, index) => ({ set, weight: weights[index] ?? 0 }));
      await bench.router.route(anywhere, { route: anywhere, stable: v1, canaries }, signal);
      for (const [headers, set] of cases) {
        const { instance } = await bench.request("shop.example", "/", headers);
        assert.equal(instance, `${set ?? whole}-1`, `${JSON.stringify(headers)} with all requests to ${whole}`);
      }
    }
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    for (const wish of ["v2", "canary"])
      assert.equal((await bench.request("shop.example", "/", header(wish))).instance, `${v1}-1`);
  });

  check("route() lets a canary without an instance leave its share to the stable set", async (bench) => {
    await place(bench, v1, 1);
    const [canary] = await place(bench, v2, 1);
    const canaries = [{ set: v2, weight: 10_000 }];
    await bench.router.route(anywhere, { route: anywhere, stable: v1, canaries }, signal);
    assert.deepEqual(await shares(bench, 5), { [v2]: 5 });
    await bench.router.drain(v2, [canary!.instance]);
    assert.deepEqual(await shares(bench, 5), { [v1]: 5 });
    await bench.router.place({ set: v2, endpoints: [await bench.endpoint(nameOf(v2, 2))] }, signal);
    assert.deepEqual(await shares(bench, 5), { [v2]: 5 });
  });

  check("route() changes weights, and no request that is in flight or just comes is lost", async (bench) => {
    const rule = (weight: number) => ({ route: anywhere, stable: v1, canaries: [{ set: v2, weight }] });
    await place(bench, v1, 2);
    await place(bench, v2, 2);
    await bench.router.route(anywhere, rule(5_000), signal);
    const open = await Promise.all(Array.from({ length: 8 }, () => bench.hold("shop.example", "/hold")));
    let going = true;
    const statuses = new Map<number, number>();
    const lanes = Array.from({ length: 8 }, async () => {
      while (going) {
        const { status } = await bench.request("shop.example", "/");
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        // One that is answered at once must leave the others their turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    for (let round = 0; round < 5; round += 1)
      for (const weight of [1, 100, 2_500, 10_000, 5_000, 0]) await bench.router.route(anywhere, rule(weight), signal);
    going = false;
    await Promise.all(lanes);
    assert.deepEqual([...statuses.keys()], [200]);
    // What was in flight when its set lost all later requests is answered by it still.
    for (const held of open) assert.equal(await held.finish(), true, held.instance);
  });

  check("route() lets a set answer several routes, one as canary and one by itself", async (bench) => {
    const preview: Route = { host: "preview.example", path: "/" };
    await place(bench, v1, 1);
    await place(bench, v2, 1);
    const rules: RouteRule[] = [
      { route: anywhere, stable: v1, canaries: [{ set: v2, weight: 0 }] },
      { route: preview, stable: v2 },
    ];
    for (const rule of rules) await bench.router.route(rule.route, rule, signal);
    assert.deepEqual((await bench.router.observe()).rules, rules);
    assert.equal((await bench.request("shop.example", "/")).instance, `${v1}-1`);
    assert.equal((await bench.request("preview.example", "/")).instance, `${v2}-1`);
    for (const rule of rules) {
      await assert.rejects(bench.router.place({ set: v2, endpoints: [] }, signal), { code: "ROUTER_FAILED" });
      await bench.router.route(rule.route, rule.stable === v2 ? null : { route: anywhere, stable: v1 }, signal);
    }
    await bench.router.place({ set: v2, endpoints: [] }, signal);
    assert.equal((await bench.request("preview.example", "/")).instance, `${v1}-1`);
  });

  check("place() adds and removes endpoints, is idempotent, and frees the set with none", async (bench) => {
    const [first, second] = await place(bench, v1, 2);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    await bench.router.place({ set: v1, endpoints: [second!] }, signal);
    for (let n = 0; n < 4; n += 1) assert.equal((await bench.request("shop.example", "/")).instance, second!.instance);
    await bench.router.place({ set: v1, endpoints: [first!, second!] }, signal);
    await bench.router.place({ set: v1, endpoints: [first!, second!] }, signal);
    const seen = new Set<string>();
    for (let n = 0; n < 8; n += 1) seen.add((await bench.request("shop.example", "/")).instance);
    assert.deepEqual([...seen].sort(), [first!.instance, second!.instance]);
    await bench.router.route(anywhere, null, signal);
    await bench.router.place({ set: v1, endpoints: [] }, signal);
    assert.deepEqual(await bench.router.observe(), { rules: [], sets: [] });
    await bench.router.place({ set: v1, endpoints: [] }, signal);
  });

  check(
    "place(), route(), drain() and cut() made twice, as after a lost answer, are as made once, also by another daemon",
    async (bench) => {
      const endpoints = await place(bench, v1, 2);
      await place(bench, v2, 1);
      const rule = { route: anywhere, stable: v1, canaries: [{ set: v2, weight: 2_500 }] };
      const out = [nameOf(v1, 1)];
      for (let time = 0; time < 2; time += 1) {
        await bench.router.place({ set: v1, endpoints }, signal);
        await bench.router.route(anywhere, rule, signal);
        await bench.router.drain(v1, out);
        await bench.router.cut(v1, out);
      }
      const before = await bench.router.observe();
      assert.deepEqual([before.rules, before.sets[0]], [[rule], { set: v1, endpoints, drained: out }]);
      const next = await bench.leave();
      await next.place({ set: v1, endpoints }, signal);
      await next.route(anywhere, rule, signal);
      assert.deepEqual(await next.observe(), before);
      const all = { route: anywhere, stable: v1 };
      await next.route(anywhere, all, signal);
      // That it is drained outlives the daemon that said so.
      for (let n = 0; n < 4; n += 1) assert.equal((await bench.request("shop.example", "/")).instance, nameOf(v1, 2));
      await next.route(anywhere, null, signal);
      await next.route(anywhere, null, signal);
      for (const set of [v1, v1, v2, v2]) await next.place({ set, endpoints: [] }, signal);
      assert.deepEqual(await next.observe(), { rules: [], sets: [] });
    },
  );

  check("drain() and cut() of what it does not know are fine and change nothing", async (bench) => {
    await place(bench, v1, 1);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    const before = await bench.router.observe();
    await bench.router.drain(v2, [nameOf(v2, 1)]);
    await bench.router.cut(v2, [nameOf(v2, 1)]);
    await bench.router.drain(v1, [nameOf(v1, 9)]);
    await bench.router.cut(v1, [nameOf(v1, 9)]);
    assert.deepEqual(await bench.router.observe(), before);
    // One that comes later is not drained by what was said before it was there.
    await bench.router.place({ set: v1, endpoints: [await bench.endpoint(nameOf(v1, 9))] }, signal);
    assert.equal((await bench.request("shop.example", "/")).instance, nameOf(v1, 9));
  });

  check("place() and route() that were aborted before they began change nothing", async (bench) => {
    await place(bench, v1, 1);
    const before = await bench.router.observe();
    const aborted = AbortSignal.abort();
    await assert.rejects(bench.router.place({ set: v2, endpoints: [await bench.endpoint(nameOf(v2, 1))] }, aborted));
    await assert.rejects(bench.router.route(anywhere, { route: anywhere, stable: v1 }, aborted));
    assert.deepEqual(await bench.router.observe(), before);
  });

  check("inFlight() counts every open request, also for the next daemon", async (bench) => {
    await place(bench, v1, 1);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    const held = [await bench.hold("shop.example", "/hold"), await bench.hold("shop.example", "/hold")];
    assert.equal((await bench.router.inFlight(v1)).get(nameOf(v1, 1)), 2);
    const next = await bench.leave();
    assert.equal((await next.inFlight(v1)).get(nameOf(v1, 1)), 2);
    assert.deepEqual(await Promise.all(held.map((one) => one.finish())), [true, true]);
    assert.equal((await next.inFlight(v1)).get(nameOf(v1, 1)), 0);
  });

  check(
    "drain() lets requests in flight go on and takes no new ones for as long as the instance is placed",
    async (bench) => {
      const endpoints = await place(bench, v1, 2);
      await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
      const held = await bench.hold("shop.example", "/hold");
      const other = endpoints.find((endpoint) => endpoint.instance !== held.instance)!;
      await bench.router.drain(v1, [held.instance as InstanceName]);
      assert.equal((await bench.router.inFlight(v1)).get(held.instance as InstanceName), 1);
      for (let n = 0; n < 4; n += 1) assert.equal((await bench.request("shop.example", "/")).instance, other.instance);
      const drained = [{ set: v1, endpoints, drained: [held.instance] }];
      assert.deepEqual((await bench.router.observe()).sets, drained);
      await bench.router.place({ set: v1, endpoints }, signal);
      assert.deepEqual((await bench.router.observe()).sets, drained);
      for (let n = 0; n < 4; n += 1) assert.equal((await bench.request("shop.example", "/")).instance, other.instance);
      assert.equal((await bench.router.inFlight(v1)).get(held.instance as InstanceName), 1);
      assert.equal(await held.finish(), true);
      assert.equal((await bench.router.inFlight(v1)).get(held.instance as InstanceName), 0);
      await bench.router.place({ set: v1, endpoints: [other] }, signal);
      await bench.router.place({ set: v1, endpoints }, signal);
      const seen = new Set<string>();
      for (let n = 0; n < 8; n += 1) seen.add((await bench.request("shop.example", "/")).instance);
      assert.equal(seen.size, 2);
    },
  );

  check("cut() ends what is still open", async (bench) => {
    await place(bench, v1, 1);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    const held = await bench.hold("shop.example", "/hold");
    await bench.router.drain(v1, [nameOf(v1, 1)]);
    await bench.router.cut(v1, [nameOf(v1, 1)]);
    assert.equal(await held.finish(), false);
    assert.equal((await bench.router.inFlight(v1)).get(nameOf(v1, 1)), 0);
  });

  check("inFlight() leaves out instances it does not know", async (bench) => {
    await place(bench, v1, 1);
    assert.deepEqual([...(await bench.router.inFlight(v1)).keys()], [nameOf(v1, 1)]);
    assert.equal((await bench.router.inFlight(v2)).size, 0);
  });

  check("traffic() counts each request for the set that answered it", async (bench) => {
    await place(bench, v1, 1);
    await place(bench, v2, 1);
    for (const [set, requests] of [
      [v1, 5],
      [v2, 7],
    ] as const) {
      await bench.router.route(anywhere, { route: anywhere, stable: set }, signal);
      for (let n = 0; n < requests; n += 1) await bench.request("shop.example", "/");
    }
    for (const [set, requests] of [
      [v1, 5],
      [v2, 7],
    ] as const) {
      const counts = await counted(bench.router, set, requests);
      assert.deepEqual(
        [counts.requests, counts.status["2xx"], counts.aborted, counts.gap],
        [requests, requests, 0, false],
      );
      assert.equal(
        counts.latency.counts.reduce((sum, count) => sum + count, 0),
        requests,
      );
      assert.equal(counts.latency.counts.length, counts.latency.boundsMs.length);
    }
    // Who measures a rollout asks when what was replaced is gone already.
    await bench.router.place({ set: v1, endpoints: [] }, signal);
    assert.equal((await counted(bench.router, v1, 5)).requests, 5);
  });

  check("observe() tells another daemon what is in effect, and requests are answered all along", async (bench) => {
    const endpoints = await place(bench, v1, 2);
    await place(bench, v2, 1);
    const rule = { route: anywhere, stable: v1, canaries: [{ set: v2, weight: 100 }] };
    await bench.router.route(anywhere, rule, signal);
    const before = await bench.router.observe();
    assert.deepEqual(before.rules, [rule]);
    assert.deepEqual(before.sets[0], { set: v1, endpoints });
    const address = bench.router.address();
    const held = await bench.hold("shop.example", "/hold");
    const next = await bench.leave();
    assert.deepEqual(await next.observe(), before);
    assert.deepEqual(next.address(), address);
    assert.equal(await held.finish(), true);
    assert.equal((await bench.request("shop.example", "/")).status, 200);
  });

  check("start() after a reboot routes as it is told, to the instances that run", async (bench) => {
    const [first, second] = await place(bench, v1, 2);
    await place(bench, v2, 2);
    await bench.router.route(anywhere, { route: anywhere, stable: v1 }, signal);
    const rules = [
      { route: anywhere, stable: v2 },
      { route: { host: "shop.example", path: "/" }, stable: v1, canaries: [{ set: v3, weight: 0 }] },
    ];
    const address = bench.router.address();
    const next = await bench.reboot({ rules, running: new Set([nameOf(v1, 1)]) });
    assert.deepEqual(next.address(), address);
    const { rules: found, sets } = await next.observe();
    assert.deepEqual(found, rules);
    assert.deepEqual(
      sets.filter(({ endpoints }) => endpoints.length > 0),
      [{ set: v1, endpoints: [first] }],
    );
    assert.notDeepEqual(first, second);
    for (let n = 0; n < 4; n += 1) assert.equal((await bench.request("shop.example", "/")).instance, nameOf(v1, 1));
    // Its place is there: only instances are missing.
    const back = await bench.endpoint(nameOf(v2, 3));
    await next.place({ set: v2, endpoints: [back] }, signal);
    assert.equal((await bench.request("other.example", "/")).instance, nameOf(v2, 3));
  });
}
