import assert from "node:assert/strict";
import test from "node:test";
import { seccompFor } from "../../linux/seccomp.ts";
import type { OciMount } from "../../linux/oci.ts";
import { ociSpec, type SpecInput } from "./spec.ts";

const input: SpecInput = {
  name: "shop-production-v1-1",
  root: "/r",
  arguments: ["/app"],
  environment: ["A=1"],
  cwd: "/srv",
  user: { uid: 1000, gid: 1000, additionalGids: [5] },
  capabilities: [],
  resources: { memoryBytes: 1024, cpu: 0.5, pids: 7 },
  tmpfs: ["/var/cache", "/tmp"],
  volumes: [{ source: "/v/data", destination: "/data" }],
  files: [{ source: "/b/hosts", destination: "/etc/hosts" }],
  cgroupsPath: "/bronze/x",
  seccomp: seccompFor("amd64", []),
  openFiles: 1024,
  limitSwap: true,
  secrets: null,
  coreBytes: 1,
};

type Spec = {
  readonly process: {
    readonly noNewPrivileges: boolean;
    readonly capabilities: { readonly [set: string]: readonly string[] };
  };
  readonly root: { readonly readonly: boolean };
  readonly mounts: readonly OciMount[];
  readonly linux: { readonly resources: { readonly [key: string]: unknown } };
};
const specOf = (change: Partial<SpecInput> = {}): Spec => ociSpec({ ...input, ...change }) as unknown as Spec;

test("ociSpec() keeps the root read-only, gives no new privileges and drops every capability", () => {
  const spec = specOf();
  assert.equal(spec.root.readonly, true);
  assert.equal(spec.process.noNewPrivileges, true);
  assert.deepEqual(Object.values(spec.process.capabilities).flat(), []);
});

test("ociSpec() gives declared capabilities to a user other than root through the ambient set", () => {
  const kept = ["CAP_NET_BIND_SERVICE"];
  assert.deepEqual(specOf({ capabilities: kept }).process.capabilities["ambient"], kept);
  assert.deepEqual(
    specOf({ capabilities: kept, user: { uid: 0, gid: 0, additionalGids: [] } }).process.capabilities["ambient"],
    [],
  );
});

test("ociSpec() mounts each tmpfs once, for its user, and files of the host read-only", () => {
  const { mounts } = specOf();
  const options = (path: string): readonly string[] =>
    mounts
      .filter(({ type, destination }) => type === "tmpfs" && destination === path)
      .flatMap((mount) => mount.options);
  assert.deepEqual(options("/tmp"), ["nosuid", "nodev", "mode=1777"]);
  assert.deepEqual(options("/var/cache"), ["nosuid", "nodev", "mode=0755", "uid=1000", "gid=1000"]);
  const volume = mounts.find(({ destination }) => destination === "/data");
  assert.deepEqual([volume?.source, volume?.options], ["/v/data", ["bind", "rw", "nosuid", "nodev"]]);
  assert.ok(mounts.find(({ destination }) => destination === "/etc/hosts")?.options.includes("ro"));
});

test("ociSpec() writes the limits it is given and none that it is not", () => {
  assert.deepEqual(specOf().linux.resources, {
    devices: [{ allow: false, access: "rwm" }],
    pids: { limit: 7 },
    memory: { limit: 1024, swap: 1024 },
    cpu: { period: 100_000, quota: 50_000 },
  });
  assert.deepEqual(specOf({ resources: { memoryBytes: null, cpu: null, pids: 7 } }).linux.resources, {
    devices: [{ allow: false, access: "rwm" }],
    pids: { limit: 7 },
  });
  assert.deepEqual(specOf({ limitSwap: false }).linux.resources["memory"], { limit: 1024 });
});

test("seccompFor() refuses mounts and namespaces without CAP_SYS_ADMIN, allows them with it, and lists one architecture", () => {
  const actions = (capabilities: readonly string[], call: string): readonly string[] =>
    seccompFor("amd64", capabilities)
      .syscalls.filter(({ names }) => names.includes(call))
      .map(({ action }) => action);
  for (const call of ["mount", "unshare", "setns", "pivot_root", "move_mount"]) {
    assert.deepEqual(actions([], call), ["SCMP_ACT_ERRNO"], call);
    assert.deepEqual(actions(["CAP_SYS_ADMIN"], call), ["SCMP_ACT_ALLOW"], call);
  }
  for (const call of ["read", "openat", "clone", "execve", "futex"])
    assert.deepEqual(actions([], call), ["SCMP_ACT_ALLOW"], call);
  assert.deepEqual(seccompFor("arm64", []).architectures, ["SCMP_ARCH_AARCH64"]);
});
