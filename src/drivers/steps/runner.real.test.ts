import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import test, { after, before } from "node:test";
import type { StepMount } from "../../ports/step-runner.ts";
import { layerTar } from "../runc/fixture.suite.ts";
import { createStepBench, machineTraces, names, type StepBench } from "./fixture.suite.ts";

let bench: StepBench;
before(async () => {
  bench = await createStepBench();
});
after(async () => {
  const { folder } = bench;
  await bench.end();
  assert.deepEqual(machineTraces(folder), []);
});

test("a step sees the same host name, locale, time zone, umask and times everywhere, and what the image says", async () => {
  const { output } = await bench.step(
    "env | busybox sort; hostname; umask; date -u -d @0 +%Z; cat /etc/hosts | head -1",
    {
      env: ["FROM_IMAGE=1", "HOME=/home/app", "PATH=/bin"],
    },
  );
  assert.equal(
    output,
    [
      "FROM_IMAGE=1\nHOME=/home/app\nLANG=C.UTF-8\nPATH=/bin\nPWD=/\nSHLVL=1\nSOURCE_DATE_EPOCH=1000000000\nTZ=UTC",
      "bronze\n0022\nUTC\n127.0.0.1\tlocalhost\n",
    ].join("\n"),
  );
});

test("a step runs as its user, with all groups, in its folder, and reads its input", async () => {
  const who = await bench.step("id; pwd; cat", { user: "app", workdir: "/www", input: "from a heredoc\n" });
  assert.equal(who.output, "uid=1000(app) gid=1000(app) groups=2000(extra)\n/www\nfrom a heredoc\n");
  await assert.rejects(bench.step("id", { user: "nobody-there" }), { code: "BUILD_FAILED", message: /nobody-there/ });
});

test("a step has what package managers need, and nothing of the machine", async () => {
  const { output } = await bench.step(
    [
      "touch /f && chown 5:5 /f && chmod 4755 /f && busybox chroot / true && rm /f && echo capable",
      "busybox mount -t tmpfs none /mnt 2>&1 | busybox grep -c 'denied\\|not permitted'",
      "grep -h 'Cap[BE]\\|Seccomp:' /proc/self/status 2>/dev/null || busybox grep -h 'Cap[BE]\\|Seccomp:' /proc/self/status",
      "ls /dev; ls /proc | busybox grep -c '^[0-9]'; echo x 2>&1 > /proc/sys/kernel/hostname || echo read-only",
    ].join("\n"),
  );
  assert.match(output, /^capable\n1\n/);
  assert.match(output, /CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nSeccomp:\t2/);
  assert.match(output, /\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n/);
  assert.match(output, /read-only\n$/);
});

test("both streams come in the order in which they were written, and can be opened by name", async () => {
  const { output } = await bench.step(
    "for i in 1 2 3; do echo out $i; echo err $i >&2; done; echo named > /dev/stdout",
  );
  assert.equal(output, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nnamed\n");
  const much = await bench.step("busybox seq 1 200000");
  assert.equal(much.output.length, 1_288_895);
});

test("a step that fails says how, with the status a shell would have", async () => {
  const fails = (script: string, status: number, more = {}): Promise<void> =>
    assert.rejects(
      bench.step(script, more),
      (error: unknown) => {
        const { code, details } = error as { code?: string; details?: { status?: number } };
        assert.equal(code, "BUILD_FAILED");
        assert.equal(details?.status, status, String(error));
        return true;
      },
      script,
    );
  await fails("echo no; exit 3", 3);
  await fails("no-such-program", 127);
  await fails("", 127, { command: ["/no/such"] });
  await fails("", 127, { command: ["no-such"] });
  await fails("", 126, { command: ["/etc/passwd"] });
});

test("mount points and the machine's own files are not in the layer, nor is what a step writes to them", async () => {
  const { layer, output } = await bench.step(
    "echo more >> /etc/hosts && echo x > /etc/resolv.conf && echo y > /run/s/other && ls /run/s && touch /kept",
    { mounts: [{ kind: "secret", target: "/run/s/key", value: Buffer.from("k"), mode: 0o400, uid: 0, gid: 0 }] },
  );
  assert.equal(output, "key\nother\n");
  assert.deepEqual(names(await bench.members(layer)), ["kept", "run/", "run/s/", "run/s/other"]);
  const again = await bench.step("cat /etc/hosts /etc/resolv.conf", { layers: [bench.base] });
  assert.doesNotMatch(again.output, /more|^x$/m);
});

test("an image's own symlink in a mount point's place is followed inside the image", async () => {
  const linked = await bench.put(
    layerTar((root) => {
      mkdirSync(join(root, "etc"));
      symlinkSync("../run/stub/resolv.conf", join(root, "etc/resolv.conf"));
      symlinkSync("/../../../../etc/elsewhere", join(root, "etc/hosts"));
    }),
  );
  const { layer, output } = await bench.step("ls -l /etc/resolv.conf; ls /etc", { layers: [bench.base, linked] });
  assert.match(output, /resolv.conf -> ..\/run\/stub\/resolv.conf/);
  assert.equal(layer, null);
});

test("secrets are in no layer, no folder, no argument list and no log", async () => {
  const canary = "canary-3f9c-secret";
  const { layer, output } = await bench.step(
    'cat /run/secrets/token > /dev/null && busybox test "$TOKEN" = "$(cat /run/secrets/token)" && ls -ln /run/secrets/token; sleep 1; touch /x',
    {
      secretEnv: [`TOKEN=${canary}`],
      mounts: [
        { kind: "secret", target: "/run/secrets/token", value: Buffer.from(canary), mode: 0o440, uid: 1000, gid: 2000 },
      ],
    },
  );
  assert.match(output, /^-r--r----- +1 1000 +2000 +18 /);
  assert.deepEqual(names(await bench.members(layer)), ["x"]);
});

test("while a step with a secret runs, nothing outside it holds the secret", async () => {
  const canary = "canary-77aa-secret";
  const running = bench.step('busybox test "$TOKEN" && echo ready && sleep 2', {
    secretEnv: [`TOKEN=${canary}`],
    mounts: [{ kind: "secret", target: "/s", value: Buffer.from(canary), mode: 0o400, uid: 0, gid: 0 }],
  });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const lists = readdirSync("/proc").flatMap((pid) => {
    try {
      return /^[0-9]+$/.test(pid) ? [readFileSync(`/proc/${pid}/cmdline`, "latin1")] : [];
    } catch {
      return [];
    }
  });
  assert.equal(lists.filter((list) => list.includes(canary)).length, 0);
  assert.deepEqual(filesWith(bench.folder, canary), []);
  await running;
  assert.deepEqual(filesWith(bench.folder, canary), []);
});

test("binds from layers and folders: read-only, or thrown away", async () => {
  const other = await bench.put(layerTar((root) => write(root, "data/file", "from another image")));
  const bind = (from: Extract<StepMount, { kind: "bind" }>["from"], writable: boolean): StepMount => ({
    kind: "bind",
    target: "/in/mount",
    from,
    writable,
  });
  const script = "cat /in/mount/file; echo new > /in/mount/file && cat /in/mount/file; true";
  const image = { layers: [other], path: "/data" };
  const folder = join(bench.folder, "context");
  write(folder, "file", "from a folder");
  assert.match((await bench.step(script, { mounts: [bind(image, false)] })).output, /^from another image.*Read-only/s);
  assert.equal((await bench.step(script, { mounts: [bind(image, true)] })).output, "from another imagenew\n");
  assert.match((await bench.step(script, { mounts: [bind({ folder }, false)] })).output, /^from a folder.*Read-only/s);
  const thrown = await bench.step(script, { mounts: [bind({ folder }, true)] });
  assert.equal(thrown.output, "from a foldernew\n");
  assert.equal(thrown.layer, null);
  assert.equal(readFileSync(join(folder, "file"), "utf8"), "from a folder");
  const single = { ...bind({ layers: [other], path: "data/file" }, false), target: "/one" };
  assert.equal((await bench.step("cat /one", { mounts: [single] })).output, "from another image");
  await assert.rejects(bench.step("true", { mounts: [bind({ layers: [other], path: "/none" }, false)] }), {
    code: "BUILD_FAILED",
  });
});

test("cache mounts are found again, shared, waited for or private as asked, and in no layer", async () => {
  const cache = (sharing: "shared" | "locked" | "private", id: string): { mounts: readonly StepMount[] } => ({
    mounts: [{ kind: "cache", target: "/c", id, sharing, mode: 0o750, uid: 1000, gid: 2000, writable: true }],
  });
  const first = await bench.step("busybox stat -c '%a %u %g' /c; echo kept > /c/file", cache("shared", "one"));
  assert.equal(first.output, "750 1000 2000\n");
  assert.equal(first.layer, null);
  assert.equal((await bench.step("cat /c/file", cache("shared", "one"))).output, "kept\n");
  const both = (sharing: "shared" | "locked" | "private"): Promise<readonly string[]> =>
    Promise.all(
      [1, 2].map(async () => {
        const script = "echo x >> /c/log; sleep 1; cat /c/log";
        return (await bench.step(script, cache(sharing, `both-${sharing}`))).output;
      }),
    );
  assert.deepEqual(await both("shared"), ["x\nx\n", "x\nx\n"]);
  assert.deepEqual((await both("locked")).toSorted(), ["x\n", "x\nx\n"]);
  assert.deepEqual(await both("private"), ["x\n", "x\n"]);
});

test("a tmpfs is empty, bounded and gone afterwards", async () => {
  const mounts: readonly StepMount[] = [{ kind: "tmpfs", target: "/t", bytes: 1024 * 1024 }];
  const { output, layer } = await bench.step("ls /t; busybox dd if=/dev/zero of=/t/x bs=1M count=2 2>&1; echo; true", {
    mounts,
  });
  assert.match(output, /No space left on device/);
  assert.equal(layer, null);
});

test("a step reaches the network unless it may not, and what it used is counted", async () => {
  const server = createServer((_, response) => response.end("hello from outside\n"));
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const fetch = `busybox wget -q -O - http://$(busybox ip route | busybox awk '/^default/ {print $3}'):${port}/`;
    const used = await bench.step(fetch, { network: "egress" });
    assert.equal(used.output, "hello from outside\n");
    assert.ok(used.network.sentPackets > 0 && used.network.receivedBytes > 0, JSON.stringify(used.network));
    const quiet = await bench.step(
      "busybox ip link | busybox grep -c eth0; sleep 1; ping -c 1 ::1 > /dev/null 2>&1; true",
      {
        network: "egress",
      },
    );
    assert.deepEqual([quiet.output, quiet.network], ["1\n", { sentPackets: 0, receivedBytes: 0 }]);
    const refused = await bench.step("busybox ip link | busybox grep -c eth0; busybox ip route; true", {
      network: "none",
    });
    assert.deepEqual([refused.output, refused.network], ["0\n", { sentPackets: 0, receivedBytes: 0 }]);
  } finally {
    server.close();
  }
});

test("several steps run beside each other and make the layers they would make alone", async () => {
  const scripts = ["echo 1 > /a", "echo 2 > /b", "echo 1 > /a"];
  const layers = await Promise.all(scripts.map(async (script) => (await bench.step(script)).layer?.diffId));
  assert.equal(layers[0], layers[2]);
  assert.equal((await bench.step("echo 2 > /b")).layer?.diffId, layers[1]);
});

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** Files below a folder that hold a text; mounts that only steps see are not looked into. */
function filesWith(folder: string, text: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      try {
        return readFileSync(path).includes(text);
      } catch {
        return false;
      }
    });
}
