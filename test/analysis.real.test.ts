import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeployResult } from "./support/bronze.ts";
import { createSite, get } from "./support/bronze.ts";
import { startPrometheus } from "./support/prometheus.ts";

/** A page by CGI that is answered with a status, and a check of its own. */
const page = (status: number): string =>
  `#!/bin/busybox sh\nprintf 'Status: ${status}\\r\\nContent-Type: text/plain\\r\\n\\r\\n${status}\\n'\n`;

test(
  "a canary is judged by the router's counts, Prometheus, HTTP and a command; a bad one ends, with its numbers, and stays out",
  { timeout: 180_000 },
  async (t) => {
    const site = createSite(t);
    const prometheus = await startPrometheus(t);
    let written = 0;
    const write = (pages: { readonly page?: number; readonly check?: number }, analysis: string): void => {
      written += 1;
      site.write({ "root/www/index.html": `${written}\n` });
      const { page: pageStatus = 200, check = 200 } = pages;
      site.write({ "root/www/cgi-bin/page": page(pageStatus), "root/www/cgi-bin/check": page(check) }, 0o755);
      site.define({
        instances: 1,
        environment: [
          "rollback: { watch: 0s }",
          `strategy: { canary: { steps: [{ weight: 50, hold: 1s }], analysis: ${analysis} } }`,
        ],
      });
    };
    write({}, "default");
    const { url } = await site.json<DeployResult>(["up", "--http-port", "0"]);
    let stopped = false;
    const load = (async () => {
      while (!stopped) {
        await get(`${url}/cgi-bin/page`).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    t.after(() => {
      stopped = true;
      return load;
    });
    const up = (): ReturnType<typeof site.bronze> => site.bronze(["up"]);
    const rejected = async (release: number, finding: RegExp): Promise<void> => {
      const result = await up();
      assert.equal(result.status, 5, result.stderr + result.stdout);
      assert.match(result.stderr, finding);
      const { live } = await site.status();
      assert.equal(live?.release, 1);
      const why = await site.bronze(["why", `v${release}`, "--replay"]);
      assert.equal(why.status, 0, why.stderr);
      assert.match(why.stdout, /replayed: all \d+ decisions come to the same again/);
      assert.match(why.stdout, finding);
    };

    await t.test("the router's own counts", async () => {
      write({ page: 500 }, "default");
      await rejected(2, /its analysis failed; errors: \d+ of \d+ requests \(100 %\) failed/);
      const answers = await Promise.all(Array.from({ length: 20 }, () => get(`${url}/cgi-bin/page`)));
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      const again = await up();
      assert.equal(again.status, 6, again.stderr);
      assert.match(again.stderr, /rollout allow v2/);
    });

    const query = `sum(shop_broken{release="$release"})`;
    const asked = `{ prometheus: { url: "${prometheus.url}", query: '${query}' }, success: result < 0.5, count: 1 }`;
    await t.test("Prometheus", async () => {
      await prometheus.expose('shop_broken{release="v1"} 0\nshop_broken{release="v4"} 0.75');
      write({}, `[${asked}]`);
      // The refused one took no number, or took one: the newest is told by its failure.
      const number = (await site.releases()).length + 1;
      await prometheus.expose(`shop_broken{release="v${number}"} 0.75`);
      await rejected(number, /prometheus: result 0.75, wanted result < 0.5/);
    });

    await t.test("an HTTP check, asked of the new content alone", async () => {
      write({ check: 503 }, "[{ http: /cgi-bin/check, count: 1 }]");
      await rejected((await site.releases()).length + 1, /http: status 503, wanted status in 200..299/);
    });

    await t.test("a command", async () => {
      write({}, "[{ command: [sh, -c, 'test \"$BRONZE_RELEASE\" = v0'], count: 1 }]");
      const refused = await up();
      assert.equal(refused.status, 2, "a $word that stands for nothing is told: commands have variables by themselves");
      write({}, "[{ command: [test, $release, =, v0], count: 1 }]");
      await rejected((await site.releases()).length + 1, /command: status 1, wanted status == 0/);
    });

    await t.test("all of them, of a content that is well: it goes live", async () => {
      const number = (await site.releases()).length + 1;
      await prometheus.expose(`shop_broken{release="v${number}"} 0.1`);
      const slow = "{ router: p50, success: p50 < 5000, interval: 1s }";
      write(
        {},
        `[errors, ${slow}, ${asked}, { http: /cgi-bin/check, count: 1 }, { command: [test, $release, =, v${number}], count: 2, interval: 1s }]`,
      );
      const result = await up();
      assert.equal(result.status, 0, result.stderr);
      assert.equal((await site.status()).live?.release, number);
      const why = await site.bronze(["why", "--replay"]);
      assert.equal(why.status, 0, why.stderr);
      assert.match(why.stdout, /this step is passed/);
    });
  },
);
