import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { readBuildOptions } from "./build-options.ts";

test("`readBuildOptions()` reads arguments and secrets, from files and from variables", async () => {
  const dir = mkdtempSync(join(tmpdir(), "bronze-options-"));
  const before = process.env["BRONZE_TEST_VALUE"];
  try {
    process.env["BRONZE_TEST_VALUE"] = "from outside";
    writeFileSync(join(dir, "key"), "in a file");
    const { buildArgs, secrets, target } = await readBuildOptions({
      target: "web",
      buildArg: ["A=1=2", "BRONZE_TEST_VALUE", "BRONZE_TEST_ABSENT", "E="],
      secret: [`id=file,src=${join(dir, "key")}`, "id=variable,env=BRONZE_TEST_VALUE", "type=env,id=BRONZE_TEST_VALUE"],
    });
    assert.equal(target, "web");
    assert.deepEqual(
      [...buildArgs],
      [
        ["A", "1=2"],
        ["BRONZE_TEST_VALUE", "from outside"],
        ["E", ""],
      ],
    );
    assert.deepEqual(
      secrets.map(({ id, value }) => [id, Buffer.from(value).toString()]),
      [
        ["file", "in a file"],
        ["variable", "from outside"],
        ["BRONZE_TEST_VALUE", "from outside"],
      ],
    );
  } finally {
    if (before === undefined) delete process.env["BRONZE_TEST_VALUE"];
    else process.env["BRONZE_TEST_VALUE"] = before;
    rmSync(dir, { recursive: true });
  }
});

for (const secret of ["hunter2", "id=a,value=hunter2", "src=x", "id=a,src=x,env=Y"]) {
  test(`\`readBuildOptions()\` refuses the secret ${secret} without repeating it`, async () => {
    await assert.rejects(
      readBuildOptions({ secret: [secret] }),
      (error) =>
        error instanceof OperatorError &&
        error.code === "ARGUMENT_INVALID" &&
        !JSON.stringify(error).includes("hunter2"),
    );
  });
}

test("`readBuildOptions()` names a file or variable of a secret that is not there", async () => {
  for (const secret of ["id=a,src=/absent/file", "id=a,env=BRONZE_TEST_ABSENT"])
    await assert.rejects(
      readBuildOptions({ secret: [secret] }),
      (error) => error instanceof OperatorError && error.code === "NOT_FOUND" && /absent/i.test(error.message),
    );
});
