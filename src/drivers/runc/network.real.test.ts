import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import test from "node:test";
import { createBench, eventually, putHttpImage, putPatientImage } from "./fixture.suite.ts";
import { setName, type EnvironmentName, type SetName } from "../../model/names.ts";
import { web } from "../../ports/runtime.suite.ts";

const ip = (...args: readonly string[]): string => execFileSync("ip", args, { encoding: "utf8" });

test("an instance reaches the world by NAT, and the world does not reach it", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  const tag = bench.places.tag;
  const world = `w${tag}`;
  const [here, there] = ["198.18.77.1", "198.18.77.2"];
  ip("netns", "add", world);
  let server: ReturnType<typeof spawn> | undefined;
  try {
    ip("link", "add", `x${tag}`, "type", "veth", "peer", "name", "eth0", "netns", world);
    ip("addr", "add", `${here}/30`, "dev", `x${tag}`);
    ip("link", "set", `x${tag}`, "up");
    ip("-n", world, "addr", "add", `${there}/30`, "dev", "eth0");
    ip("-n", world, "link", "set", "eth0", "up");
    ip("-n", world, "route", "add", "default", "via", here);
    server = spawn(
      "ip",
      ["netns", "exec", world, "busybox", "nc", "-lk", "-p", "7000", "-e", "sh", "-c", "echo $NCREMOTEADDR; env"],
      { stdio: "ignore" },
    );
    const set = bench.set(await putPatientImage(bench.store), {
      command: [
        "/bin/sh",
        "-c",
        `while ! nc ${there} 7000 </dev/null | head -n 1; do sleep 0.1; done; echo reached; exec sleep 1000`,
      ],
    });
    const pages = bench.set(await putHttpImage(bench.store), {}, 2);
    await Promise.all([runtime.ensure(set, web(1, 1), bench.signal), runtime.ensure(pages, web(1, 1), bench.signal)]);
    const [client, page] = await runtime.observe();
    assert.ok(client !== undefined && page?.address);
    await eventually(async () => ((await runtime.facts(client.name)).logTail.includes("reached") ? true : undefined));
    const fromHost = await eventually(async () =>
      fetch(`http://${page.address}:${page.port}/`).then(
        (answer) => answer.text(),
        () => undefined,
      ),
    );
    assert.equal(fromHost, "hello\n");
    const asked = ["netns", "exec", world, "timeout", "2", "busybox", "wget", "-q", "-O", "-"];
    // Dropped, not refused: it waits until its time is over.
    assert.throws(() => execFileSync("ip", [...asked, `http://${page.address}:${page.port}/`], { stdio: "pipe" }), {
      status: 124,
    });
  } finally {
    server?.kill("SIGKILL");
    await bench.end(runtime);
    execFileSync("sh", ["-c", `ip netns pids ${world} | xargs -r kill -9`]);
    ip("netns", "del", world);
  }
});

test("instances reach each other", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const artifact = await putHttpImage(bench.store);
    await runtime.ensure(bench.set(artifact), web(1, 1), bench.signal);
    const [page] = await runtime.observe();
    const client = bench.set(
      artifact,
      {
        command: [
          "/bin/sh",
          "-c",
          `until wget -q -O - http://${page?.address}:8080/; do sleep 0.1; done; exec sleep 1000`,
        ],
      },
      2,
    );
    await runtime.ensure(client, web(1, 1), bench.signal);
    const name = (await runtime.observe())[1]?.name ?? assert.fail();
    await eventually(async () => ((await runtime.facts(name)).logTail.includes("hello") ? true : undefined));
  } finally {
    await bench.end(runtime);
  }
});

test("instances of one environment do not reach those of another, nor does its network outlive close()", async () => {
  const bench = await createBench();
  const runtime = await bench.runtime();
  try {
    const artifact = await putHttpImage(bench.store);
    const page = bench.set(artifact);
    const environment = "staging" as EnvironmentName;
    await runtime.ensure(page, web(1, 1), bench.signal);
    const address = (await runtime.observe())[0]?.address ?? assert.fail();
    const script = `/bin/busybox timeout 2 wget -q -O - http://${address}:8080/ || echo no way; echo asked; exec sleep 1000`;
    const command = ["/bin/sh", "-c", script];
    // The same question from the same environment, so that "no way" means the way.
    const near = bench.set(artifact, { command }, 2);
    const other = { ...bench.set(artifact, { command }), name: setName(page.app, environment, 1), environment };
    await Promise.all([runtime.ensure(near, web(1, 1), bench.signal), runtime.ensure(other, web(1, 1), bench.signal)]);
    const seen = await runtime.observe();
    const subnets = bench.events.flatMap((event) => (event.kind === "network.chosen" ? event.subnet : []));
    assert.equal(new Set(subnets).size, 2, subnets.join(", "));
    const said = (set: SetName): Promise<readonly string[]> =>
      eventually(async () => {
        const { logTail } = await runtime.facts(seen.find((one) => one.set === set)?.name ?? assert.fail());
        return logTail.includes("asked") ? logTail : undefined;
      });
    assert.deepEqual(await said(near.name), ["hello", "asked"]);
    const elsewhere = await said(other.name);
    assert.deepEqual([elsewhere.includes("no way"), elsewhere.includes("hello")], [true, false], elsewhere.join("; "));
    // A daemon that comes later finds both networks again.
    runtime.stop();
    const next = await bench.runtime();
    await next.ensure(other, web(2, 2), bench.signal);
    assert.equal(bench.events.filter(({ kind }) => kind === "network.chosen").length, 2);
    await next.remove(
      (await next.observe()).map((one) => one.name),
      0,
      bench.signal,
    );
    await next.close();
    const tag = bench.places.tag;
    assert.deepEqual(
      [ip("-o", "link"), execFileSync("iptables-save", { encoding: "utf8" })].map((text) => text.includes(tag)),
      [false, false],
    );
  } finally {
    await bench.end(runtime);
  }
});
