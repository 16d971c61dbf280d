import assert from "node:assert/strict";
import test from "node:test";
import { resolveUser } from "./user.ts";

const passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n";
const group = "root:x:0:\nweb:x:1001:\nextra:x:2000:other,app\n";

test("resolveUser() reads names and numbers as other engines do", () => {
  const cases = [
    ["", { uid: 0, gid: 0, additionalGids: [], home: "/root" }],
    ["app", { uid: 1000, gid: 1001, additionalGids: [2000], home: "/home/app" }],
    ["1000", { uid: 1000, gid: 1001, additionalGids: [2000], home: "/home/app" }],
    ["app:extra", { uid: 1000, gid: 2000, additionalGids: [], home: "/home/app" }],
    ["4242", { uid: 4242, gid: 0, additionalGids: [], home: "/" }],
    ["4242:77", { uid: 4242, gid: 77, additionalGids: [], home: "/" }],
  ] as const;
  for (const [spec, expected] of cases) assert.deepEqual(resolveUser(spec, passwd, group), expected, spec);
});

test("resolveUser() throws for names that the image does not know", () => {
  for (const spec of ["nobody", "app:nogroup"])
    assert.throws(() => resolveUser(spec, passwd, group), { code: "RUNTIME_FAILED" });
});
