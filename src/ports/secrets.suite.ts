import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import { mostSecretBytes, parseSecretName, type SecretVersion } from "../model/secret.ts";
import type { Secrets } from "./secrets.ts";

export function secretVersion(name: string, version = 1, environment = "production"): SecretVersion {
  return {
    app: parseAppName("shop"),
    environment: parseEnvironmentName(environment),
    name: parseSecretName(name),
    version,
  };
}

const code = (wanted: string) => (thrown: unknown) => thrown instanceof OperatorError && thrown.code === wanted;

/** What every keeper of secrets does. @param open makes an empty one; `restarted` gives what the next process has */
export function secretsSuite(
  name: string,
  open: (t: TestContext) => { readonly secrets: Secrets; readonly restarted: () => Secrets },
): void {
  test(`${name}: read() gives what write() was given, byte for byte, also to the next process`, async (t) => {
    const { secrets, restarted } = open(t);
    const values = [Buffer.from("pass word\n"), Buffer.from([0, 255, 10, 13]), Buffer.alloc(mostSecretBytes, "x")];
    for (const [index, value] of values.entries()) await secrets.write(secretVersion("A", index + 1), value);
    for (const keeper of [secrets, restarted()])
      for (const [index, value] of values.entries())
        assert.deepEqual(await keeper.read(secretVersion("A", index + 1)), value);
  });

  test(`${name}: versions, names and environments are told apart`, async (t) => {
    const { secrets } = open(t);
    const all = [
      secretVersion("A", 1),
      secretVersion("A", 2),
      secretVersion("A", 10),
      secretVersion("a", 1),
      secretVersion("A", 1, "staging"),
    ];
    for (const one of all) await secrets.write(one, Buffer.from(`${one.environment} ${one.name} ${one.version}`));
    assert.deepEqual(await secrets.list(), all);
    for (const one of all)
      assert.equal((await secrets.read(one)).toString(), `${one.environment} ${one.name} ${one.version}`);
  });

  test(`${name}: write() again replaces what a killed writer left`, async (t) => {
    const { secrets } = open(t);
    await secrets.write(secretVersion("A"), Buffer.from("one"));
    await secrets.write(secretVersion("A"), Buffer.from("two"));
    assert.equal((await secrets.read(secretVersion("A"))).toString(), "two");
  });

  test(`${name}: remove() ends one value and no other; what is not there is fine`, async (t) => {
    const { secrets, restarted } = open(t);
    await secrets.write(secretVersion("A", 1), Buffer.from("one"));
    await secrets.write(secretVersion("A", 2), Buffer.from("two"));
    await secrets.remove(secretVersion("A", 1));
    await secrets.remove(secretVersion("B"));
    assert.deepEqual(await restarted().list(), [secretVersion("A", 2)]);
    await assert.rejects(secrets.read(secretVersion("A", 1)), code("SECRET_UNREADABLE"));
    assert.equal((await secrets.read(secretVersion("A", 2))).toString(), "two");
  });

  test(`${name}: protect() locks the next process until unlock() is given the passphrase`, async (t) => {
    const { secrets, restarted } = open(t);
    await secrets.write(secretVersion("A"), Buffer.from("one"));
    await secrets.protect("correct horse");
    assert.equal(await secrets.state(), "open");
    assert.equal((await secrets.read(secretVersion("A"))).toString(), "one");
    const next = restarted();
    assert.equal(await next.state(), "locked");
    await assert.rejects(next.read(secretVersion("A")), code("SECRETS_LOCKED"));
    await assert.rejects(next.write(secretVersion("A", 2), Buffer.from("two")), code("SECRETS_LOCKED"));
    await assert.rejects(next.protect(null), code("SECRETS_LOCKED"));
    assert.deepEqual(await next.list(), [secretVersion("A")]);
    await assert.rejects(next.unlock("wrong horse"), code("SECRETS_LOCKED"));
    assert.equal(await next.state(), "locked");
    await next.unlock("correct horse");
    assert.equal(await next.state(), "open");
    assert.equal((await next.read(secretVersion("A"))).toString(), "one");
    await next.write(secretVersion("A", 2), Buffer.from("two"));
    await next.protect(null);
    const last = restarted();
    assert.equal(await last.state(), "open");
    assert.equal((await last.read(secretVersion("A", 2))).toString(), "two");
  });
}
