import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { SecretResult, SecretsReport } from "../src/model/api/secrets.ts";
import type { StatusReport } from "../src/model/api/status.ts";
import { placesOf } from "../src/model/places.ts";
import { createSite, eventually, get, type CommandResult, type DeployResult, type Site } from "./support/bronze.ts";
import { filesWith, formsOf, watchProcesses } from "./support/canaries.ts";
import { request, sendRaw } from "./support/socket.ts";

const canary = (name: string): string => `canary-${name}-${randomBytes(12).toString("hex")}`;
const sha512 = (text: string): string => createHash("sha512").update(text).digest("hex");

/** Tells what it was given by hashes that nothing else makes, so that they can be asked for. */
const app = [
  "/bin/busybox",
  "sh",
  "-c",
  "/bin/busybox mkdir /tmp/www; cd /tmp/www; for s in /run/secrets/*; do /bin/busybox sha512sum < $s > ${s##*/}; done; printf %s \"$TOKEN\" | /bin/busybox sha512sum > variable; trap 'kill $!; exit 0' TERM; echo ok > index.html; /bin/busybox httpd -f -p 8080 & wait $!",
];

interface Scene {
  readonly site: Site;
  /** Outside of project and state. */
  readonly vault: string;
  readonly said: string[];
  /** A command whose words are searched afterwards. */
  bronze(args: readonly string[], input?: string, env?: Readonly<Record<string, string>>): Promise<CommandResult>;
  /** The hash of what the live instance sees. */
  seen(name: string): Promise<string>;
}

function createScene(t: TestContext, secrets: string): Scene {
  const site = createSite(t);
  const vault = mkdtempSync(join(tmpdir(), "bz-vault-"));
  t.after(() => rmSync(vault, { recursive: true }));
  site.write({
    Dockerfile: ["FROM scratch", "COPY root/ /", "USER 65532:65532", `CMD ${JSON.stringify(app)}`].join("\n"),
  });
  site.define({
    instances: 1,
    top: [`secrets: ${secrets.replaceAll("VAULT", vault)}`],
    environment: ["rollback: { watch: 0s }"],
  });
  const said: string[] = [];
  return {
    site,
    vault,
    said,
    async bronze(args, input = "", env = {}) {
      const result = await site.bronze(args, { input, env });
      said.push(`bronze ${args.join(" ")}\n${result.stdout}${result.stderr}`);
      return result;
    },
    async seen(name) {
      const report = await site.json<StatusReport>(["status"]);
      const live = report.environments[0]?.instances.find(({ role }) => role === "live");
      return (await get(`http://${live?.address}:8080/${name}`)).body.split(" ")[0] ?? "";
    },
  };
}

test(
  "no operation leaves a secret's value where it does not belong, and each release brings its own back",
  { timeout: 240_000 },
  async (t) => {
    const scene = createScene(
      t,
      "[DB, { name: TOKEN, variable: true, from: { env: SHOP_TOKEN } }, { name: KEY, from: { file: VAULT/key } }, { name: CERT, from: { command: [/bin/cat, VAULT/cert] } }]",
    );
    const { site, vault, bronze, seen } = scene;
    const db = [canary("db1"), canary("db2"), canary("db3")] as const;
    const tokens = [canary("token1"), canary("token2")] as const;
    const key = canary("key");
    const certs = [`-----BEGIN-----\n${canary("cert1")}\n`, `-----BEGIN-----\n${canary("cert2")}\n`] as const;
    const passphrase = canary("passphrase");
    const misplaced = canary("misplaced");
    const canaries = [...db, ...tokens, key, ...certs.map((text) => text.split("\n")[1] ?? ""), passphrase];
    const forms = formsOf(canaries);
    // The command bundles itself first, where its sources are newer.
    await site.bronze(["--version"]);
    // The command that was given a variable has it, and nothing that it starts.
    const watched = watchProcesses(t, forms, (command) =>
      /dist\/cli\.js |bronze up|ready\.sh|^find \S+\/src .*bundle/.test(command),
    );
    const done = async (
      args: readonly string[],
      input?: string,
      env?: Readonly<Record<string, string>>,
    ): Promise<CommandResult> => {
      const result = await bronze(args, input, env);
      assert.equal(result.status, 0, `bronze ${args.join(" ")}: ${result.stderr}${result.stdout}`);
      return result;
    };
    const json = async <Result>(...input: Parameters<typeof done>): Promise<Result> =>
      JSON.parse(
        (await done([...input[0], "--json"], input[1], input[2])).stdout.trim().split("\n").at(-1) ?? "",
      ) as Result;
    const refused = async (status: number, ...input: Parameters<typeof done>): Promise<string> => {
      const result = await bronze(...input);
      assert.equal(result.status, status, `bronze ${input[0].join(" ")}: ${result.stderr}${result.stdout}`);
      return result.stderr;
    };
    const up = (token: string): Promise<DeployResult> =>
      json<DeployResult>(["up", "--http-port", "0"], "", { SHOP_TOKEN: token });

    // Given, asked for, and given at the wrong place.
    writeFileSync(join(vault, "key"), key);
    await refused(11, ["up", "--http-port", "0"], "", { SHOP_TOKEN: tokens[0] });
    writeFileSync(join(vault, "cert"), certs[0]);
    assert.match(await refused(4, ["up", "--http-port", "0"], "", { SHOP_TOKEN: tokens[0] }), /secret DB has no value/);
    const first = await json<SecretResult>(["secret", "set", "DB"], `${db[0]}\n`);
    assert.deepEqual([first.version, first.changed, first.release], [1, true, null]);
    assert.equal((await json<SecretResult>(["secret", "set", "DB"], db[0])).changed, false);
    await refused(6, ["secret", "set", "DB"], db[1]);
    assert.match(await refused(4, ["secret", "rotate", "DP"], db[1]), /did you mean DB\?/);
    await refused(2, ["secret", "set", "DB"], "");
    await refused(2, ["secret", "set", "DB"], db[0].repeat(2_000));
    const words = (await site.bronze(["secret", "set", `DB=${misplaced}`])).stderr;
    assert.ok(/as an argument/.test(words) && !words.includes(misplaced), words);
    const extra = (await site.bronze(["secret", "set", "DB", misplaced])).stderr;
    assert.ok(!extra.includes(misplaced), extra);

    // Released, and read back from inside.
    assert.equal((await up(tokens[0])).release, 1);
    assert.deepEqual(
      [await seen("DB"), await seen("TOKEN"), await seen("variable"), await seen("KEY"), await seen("CERT")],
      [db[0], tokens[0], tokens[0], key, certs[0]].map(sha512),
    );
    assert.equal((await up(tokens[0])).created, false);
    const rotated = await json<SecretResult>(["secret", "rotate", "DB", "--from", join(vault, "key")]);
    assert.deepEqual([rotated.version, rotated.release?.release], [2, 2]);
    assert.equal(await seen("DB"), sha512(key));
    writeFileSync(join(vault, "cert"), certs[1]);
    assert.equal((await up(tokens[1])).release, 3);
    assert.deepEqual([await seen("TOKEN"), await seen("CERT")], [tokens[1], certs[1]].map(sha512));
    await done(["config", "set", "LEVEL=debug"]);
    await done(["rollback", "v1"]);
    assert.deepEqual(
      [await seen("DB"), await seen("variable"), await seen("CERT")],
      [db[0], tokens[0], certs[0]].map(sha512),
    );

    // Whatever is asked, and one-off instances that have them too.
    for (const args of [["secret", "list"], ["history", "--json"], ["logs"], ["status", "--json"]]) await done(args);
    // What stands after -- is the command's: the state folder is told another way.
    const hasThem = 'test -s /run/secrets/DB -a -n "$TOKEN"';
    await done(["run", "--", "/bin/busybox", "sh", "-c", hasThem], "", { BRONZE_STATE: site.state });
    await done(["scale", "2"]);
    await done(["save", "shop", "--output", join(vault, "shop.tar")]);
    for (const target of [
      "/v1/secrets?app=shop&environment=production",
      "/v1/release?app=shop&environment=production",
      "/v1/history",
      "/v1/status",
    ])
      scene.said.push((await sendRaw(placesOf(site.state).socket, request("GET", target))).text);
    const garbled = JSON.stringify({
      app: "shop",
      environment: "production",
      who: "x",
      why: "",
      name: "DB",
      rotate: true,
      value: `${db[2]}*`,
    });
    scene.said.push((await sendRaw(placesOf(site.state).socket, request("POST", "/v1/secret/set", garbled))).text);

    // Ended: a version, and the daemon in the middle of it.
    assert.match(await refused(6, ["secret", "revoke", "DB", "v2"]), /rotate DB/);
    await json<SecretResult>(["secret", "rotate", "DB"], db[2]);
    const revoked = await json<SecretResult>(["secret", "revoke", "DB"]);
    assert.deepEqual([revoked.version, revoked.changed], [3, true]);
    assert.match((await done(["rollback", "v3"])).stderr, /with DB v3 in place of v2, which was revoked/);
    assert.deepEqual(
      [await seen("DB"), await seen("TOKEN"), await seen("CERT")],
      [db[2], tokens[1], certs[1]].map(sha512),
    );
    assert.match(await refused(6, ["secret", "remove", "DB", "--yes"]), /needs it/);
    await done(["secret", "protect"], passphrase);
    const { daemon } = await site.json<StatusReport>(["status"]);
    process.kill(daemon.pid, "SIGKILL");
    await eventually("the daemon is gone", () => !existsSync(`/proc/${daemon.pid}`));
    await refused(8, ["up", "--http-port", "0"], "", { SHOP_TOKEN: tokens[1] });
    assert.match((await done(["status"])).stdout, /locked/);
    await refused(8, ["secret", "rotate", "DB"], db[1]);
    await refused(8, ["secret", "unlock"], canary("wrong"));
    await done(["secret", "unlock"], passphrase);
    assert.deepEqual(await seen("DB"), sha512(db[2]));
    await done(["secret", "protect", "--none"]);

    // No core of what holds them, and nothing of it where others look.
    const { environments, daemon: next } = await site.json<StatusReport>(["status"]);
    const instances = environments[0]?.instances ?? [];
    for (const pid of [next.pid, ...instances.flatMap(({ pid: one }) => one ?? [])])
      assert.match(readFileSync(`/proc/${pid}/limits`, "utf8"), /Max core file size +[01] +[01] +bytes/);
    const baselines = (): readonly string[] =>
      instances
        .filter(({ name }) => existsSync(join(site.state, "run/secrets", name, "baseline.json")))
        .map(({ name }) => name);
    await eventually("what instances were is kept", () => baselines().length > 0);
    const places = placesOf(site.state);
    const key0 =
      readFileSync(join(site.state, "keys/secrets.key"), "utf8")
        .split("\n")
        .find((line) => line.startsWith("AGE-SECRET-KEY")) ?? "";
    assert.equal(statSync(join(site.state, "keys/secrets.key")).mode & 0o777, 0o600);
    const search = (): readonly string[] =>
      filesWith([...forms, key0.slice(20, 50)], [site.state, site.project, places.log, join(vault, "shop.tar")]);
    assert.deepEqual(search(), [join(site.state, "keys/secrets.key")]);
    assert.deepEqual(
      scene.said.flatMap((text) => (forms.some((form) => text.includes(form)) ? [text] : [])),
      [],
    );
    assert.deepEqual(watched.stop(), []);

    // And gone with all of it.
    const { secrets } = await json<SecretsReport>(["secret", "list"]);
    assert.deepEqual(
      secrets.map(({ name, current }) => [name, current]),
      [
        ["CERT", 2],
        ["DB", 3],
        ["KEY", 1],
        ["TOKEN", 2],
      ],
    );
    assert.deepEqual(readdirSync(join(site.state, "secrets/shop/production/DB")), ["3.age"]);
    await done(["down"]);
    assert.equal(existsSync(join(site.state, "run/secrets")), false);
    assert.ok(!execFileSync("cat", ["/proc/self/mounts"], { encoding: "utf8" }).includes(site.state));
    assert.deepEqual(search(), [join(site.state, "keys/secrets.key")]);
  },
);
