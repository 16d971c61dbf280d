import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { OperatorError } from "../errors/operator-error.ts";
import { createLocalStore } from "../store/local.ts";
import { parseChallenge } from "./challenge.ts";
import { findCredential } from "./credentials.ts";
import { newClient, newFolder, newServer, pullOptions, referenceTo, signal, withCode } from "./fixture.suite.ts";
import { makeImage, publish, type TestRegistry } from "./server.suite.ts";

const image = makeImage([5000]);
const canary = "canary-3f9a51c7d2e84b60";

test("`parseChallenge()` reads what registries send", () => {
  const bearer = { kind: "bearer", realm: "https://a.example/token", service: "s, x", scope: "repository:a:pull" };
  for (const header of [
    'Bearer realm="https://a.example/token",service="s, x",scope="repository:a:pull"',
    'bearer Realm="https://a.example/token", service="s, x" , scope="repository:a:pull", error="invalid_token"',
    'Basic realm="r", Bearer realm="https://a.example/token",service="s, x",scope="repository:a:pull"',
  ])
    assert.deepEqual(parseChallenge(header), bearer, header);
  assert.deepEqual(parseChallenge('Basic realm="x y"'), { kind: "basic" });
  assert.deepEqual(parseChallenge('Bearer realm="a\\"b"'), { kind: "bearer", realm: 'a"b', service: "", scope: "" });
  for (const header of [undefined, "", "Negotiate", "Bearer", 'Bearer service="x"', "a=".repeat(10_000)])
    assert.equal(parseChallenge(header), undefined);
});

interface Login {
  readonly headers: IncomingHttpHeaders;
  readonly url: URL;
  readonly body: string;
}

/** A registry that wants tokens of its token server, which gives one a request. */
async function newGuarded(
  lets: (login: Login) => boolean,
  lifeS = 300,
): Promise<{ server: TestRegistry; logins: Login[] }> {
  const server = await newServer();
  publish(server, "team/shop", "1", image);
  const logins: Login[] = [];
  const good = new Set<string>();
  server.behave = (request, response, path) => {
    if (path === "/token") {
      let body = "";
      request.on("data", (piece: Buffer) => (body += piece.toString()));
      request.on("end", () => {
        const login = { headers: request.headers, url: new URL(request.url ?? "", "http://x"), body };
        logins.push(login);
        const token = `token-${logins.length}-${canary}`;
        if (!lets(login)) {
          response.writeHead(401).end(`{"details":"no ${canary}"}`);
          return;
        }
        good.add(`Bearer ${token}`);
        response.end(
          JSON.stringify({ [logins.length % 2 === 0 ? "token" : "access_token"]: token, expires_in: lifeS }),
        );
      });
      return true;
    }
    if (good.has(request.headers.authorization ?? "")) return false;
    const actions = request.method === "GET" ? "pull" : "pull,push";
    const scope = path === "/v2/" ? "repository:user/image:pull" : `repository:team/shop:${actions}`;
    const challenge = `Bearer realm="http://${server.host}/token",service="test",scope="${scope}"`;
    request.resume();
    response.writeHead(401, { "www-authenticate": challenge }).end('{"errors":[{"code":"UNAUTHORIZED"}]}');
    return true;
  };
  return { server, logins };
}

const auth = (user: string, password: string): string => Buffer.from(`${user}:${password}`).toString("base64");

/** A home folder with Docker's credential file. */
function newHome(config: object, file = ".docker/config.json"): string {
  const home = newFolder();
  mkdirSync(join(home, file, ".."), { recursive: true });
  writeFileSync(join(home, file), JSON.stringify(config));
  return home;
}

test("`resolve()` gets a token without a name, and asks for one per repository and what is done there", async () => {
  const { server, logins } = await newGuarded(() => true);
  const reference = referenceTo(server, "team/shop:1");
  const client = newClient();
  const store = createLocalStore(newFolder());
  await client.pull(reference, image.digest, store, pullOptions);
  assert.equal(logins.length, 1);
  assert.deepEqual(logins[0]?.url.searchParams.getAll("scope"), ["repository:team/shop:pull"]);
  assert.equal(logins[0]?.url.searchParams.get("service"), "test");
  assert.equal(logins[0]?.headers.authorization, undefined);
  await client.push(image.digest, referenceTo(server, "team/shop:2"), store, { signal });
  assert.deepEqual(logins[1]?.url.searchParams.getAll("scope"), ["repository:team/shop:pull,push"]);
});

test("`resolve()` shows name and password to the token server, and the token to the registry", async () => {
  const { server, logins } = await newGuarded(({ headers }) => headers.authorization === `Basic ${auth("me", canary)}`);
  const home = newHome({ auths: { [server.host]: { auth: auth("me", canary) } } });
  await newClient({ home }).resolve(referenceTo(server, "team/shop:1"), signal);
  assert.equal(logins.length, 1);
  assert.ok(
    server.seen.every(
      ({ authorization }, index) => server.log[index]?.includes("/token") || !authorization?.startsWith("Basic"),
    ),
  );
});

test("`resolve()` exchanges an identity token, and shows a registry token as it is", async () => {
  const { server, logins } = await newGuarded(({ body }) => new URLSearchParams(body).get("refresh_token") === canary);
  const home = newHome({ auths: { [`https://${server.host}/v1/`]: { identitytoken: canary } } });
  await newClient({ home }).resolve(referenceTo(server, "team/shop:1"), signal);
  const form = new URLSearchParams(logins[0]?.body);
  assert.deepEqual(
    [form.get("grant_type"), form.get("scope"), form.get("client_id")],
    ["refresh_token", "repository:team/shop:pull", "bronze"],
  );
  assert.ok(!logins[0]?.url.href.includes(canary));
  const other = newHome({ auths: { [server.host]: { registrytoken: `token-1-${canary}` } } });
  await newClient({ home: other }).resolve(referenceTo(server, "team/shop:1"), signal);
  assert.equal(logins.length, 1);
});

test("`pull()` gets a new token when the registry takes the old one no more", async () => {
  const { server, logins } = await newGuarded(() => true);
  const guard = server.behave;
  let asked = 0;
  server.behave = (request, response, path) => {
    if (path.includes("blobs") && asked++ === 0) request.headers.authorization = "Bearer old";
    return guard(request, response, path);
  };
  await newClient().pull(referenceTo(server, "team/shop:1"), image.digest, createLocalStore(newFolder()), pullOptions);
  assert.equal(logins.length, 2);
});

test("nothing secret is in an error, and none of it goes to another host", async () => {
  const { server } = await newGuarded(() => false);
  const home = newHome({ auths: { [server.host]: { auth: auth("me", canary) } } });
  const secrets = [canary, auth("me", canary)];
  await assert.rejects(newClient({ home }).resolve(referenceTo(server, "team/shop:1"), signal), (error) => {
    assert.ok(error instanceof OperatorError && error.code === "REGISTRY_FAILED");
    const told = `${JSON.stringify(error)}${String(error.stack)}${String(error.cause)}`;
    for (const secret of secrets) assert.ok(!told.includes(secret), told);
    return true;
  });

  // A registry with basic authentication that repeats what it was sent, and redirects elsewhere.
  const seen: IncomingHttpHeaders[] = [];
  const elsewhere = createServer((request, response) => {
    seen.push(request.headers);
    response.end(image.layers[0]);
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  const basic = await newServer();
  publish(basic, "shop", "1", image);
  const kept = newHome({ auths: { [basic.host]: { auth: auth("me", canary) } } });
  basic.behave = (request, response, path) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      return true;
    }
    if (path.includes("manifests/bad")) {
      const message = `${request.headers.authorization} ${Buffer.from(request.headers.authorization.slice(6), "base64").toString()}`;
      response.writeHead(403).end(JSON.stringify({ errors: [{ code: "DENIED", message }] }));
      return true;
    }
    if (!path.includes("blobs") || request.headers.authorization === undefined) return false;
    if (Number(request.headers["content-length"] ?? 0) > 0 || path.includes(image.manifest.toString().slice(-1)))
      return false;
    if (basic.blobs.get(path.split("/").at(-1) ?? "") !== image.layers[0]) return false;
    const location = `http://localhost:${(elsewhere.address() as AddressInfo).port}/blob`;
    response.writeHead(307, { location }).end();
    return true;
  };
  try {
    const client = newClient({ home: kept });
    await client.pull(referenceTo(basic, "shop:1"), image.digest, createLocalStore(newFolder()), pullOptions);
    assert.equal(seen.length, 1);
    assert.equal(seen[0]?.authorization, undefined);
    await assert.rejects(client.resolve(referenceTo(basic, "shop:bad"), signal), (error) => {
      assert.ok(error instanceof OperatorError && error.code === "REGISTRY_FAILED");
      const told = `${JSON.stringify(error)}${String(error.stack)}`;
      assert.match(told, /DENIED.*\[redacted\]/);
      for (const secret of secrets) assert.ok(!told.includes(secret), told);
      return true;
    });
  } finally {
    elsewhere.close();
    elsewhere.closeAllConnections();
  }
});

test("`resolve()` goes nowhere for a token without TLS, and takes no wrong one", async () => {
  for (const [realm, says] of [
    ["http://registry.example/token", /no https address/],
    ["ftp://x/", /no https address/],
    ["/token", /no https address/],
  ] as const) {
    const server = await newServer();
    server.behave = (_request, response) => {
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}"` }).end();
      return true;
    };
    await assert.rejects(newClient().resolve(referenceTo(server, "shop:1"), signal), withCode("REGISTRY_FAILED", says));
  }
  const { server } = await newGuarded(() => true);
  const guard = server.behave;
  server.behave = (request, response, path) => {
    if (path !== "/token") return guard(request, response, path);
    response.end('{"token":"a\\r\\nx: y"}');
    return true;
  };
  await assert.rejects(
    newClient().resolve(referenceTo(server, "team/shop:1"), signal),
    withCode("REGISTRY_FAILED", /gave no token/),
  );
});

test("`findCredential()` asks the host's helper, then the common one, then the files, Podman's last", async () => {
  const bin = newFolder();
  const log = join(bin, "log");
  const helper = (name: string, script: string): void => {
    const path = join(bin, `docker-credential-${name}`);
    writeFileSync(path, `#!/bin/sh\nread server; echo "${name} $1 $server" >>${log}\n${script}\n`);
    chmodSync(path, 0o755);
  };
  helper("own", `echo '{"ServerURL":"x","Username":"own","Secret":"${canary}"}'`);
  helper("token", `echo '{"Username":"<token>","Secret":"${canary}"}'`);
  helper("empty", `echo "credentials not found in native keychain"; exit 1`);
  helper("broken", `echo "${canary}"; exit 3`);
  helper("odd", `echo "${canary}"`);
  helper("huge", "yes");
  const env = { PATH: `${bin}${delimiter}${process.env["PATH"]}`, XDG_RUNTIME_DIR: "/nonexistent" };
  const find = (
    config: object,
    host = "r.example:5000",
    more: Record<string, string> = {},
  ): ReturnType<typeof findCredential> =>
    findCredential(host, "team/shop", { env: { ...env, ...more }, home: newHome(config), signal });
  const auths = { "r.example:5000": { auth: auth("file", "pass:word") } };
  const own = { kind: "password", user: "own", password: canary };
  const fromFile = { kind: "password", user: "file", password: "pass:word" };
  assert.deepEqual(await find({ credHelpers: { "r.example:5000": "own" }, credsStore: "broken", auths }), own);
  assert.deepEqual(await find({ credsStore: "token", auths }), { kind: "identity", token: canary });
  assert.deepEqual(await find({ credsStore: "empty", auths }), fromFile);
  assert.deepEqual(await find({ auths }), fromFile);
  assert.deepEqual(await find({ auths: { "https://r.example:5000/v2/": { username: "a", password: "b" } } }), {
    kind: "password",
    user: "a",
    password: "b",
  });
  assert.deepEqual(await find({ credsStore: "own" }, "docker.io"), own);
  assert.match(readFileSync(log, "utf8"), /^own get r\.example:5000\n[^]*own get https:\/\/index\.docker\.io\/v1\/\n$/);
  const podman = newHome(
    { auths: { "r.example:5000": { auth: auth("p", "1") }, "r.example:5000/team": { auth: auth("q", "2") } } },
    "auth.json",
  );
  assert.deepEqual(await find({}, "r.example:5000", { REGISTRY_AUTH_FILE: join(podman, "auth.json") }), {
    kind: "password",
    user: "q",
    password: "2",
  });
  assert.deepEqual(
    await find({ auths }, "r.example:5000", { REGISTRY_AUTH_FILE: join(podman, "auth.json") }),
    fromFile,
  );
  assert.equal(await find({ auths }, "other.example"), undefined);

  for (const [config, says] of [
    [{ credsStore: "broken" }, /ended with status 3/],
    [{ credsStore: "odd" }, /no JSON/],
    [{ credsStore: "huge" }, /it was ended/],
    [{ credsStore: "absent" }, /not installed/],
    [{ credsStore: "../../bin/sh" }, /no helper's name/],
    [{ auths: { "r.example:5000": { auth: Buffer.from(canary).toString("base64") } } }, /not USER:PASSWORD/],
  ] as const)
    await assert.rejects(find(config), (error) => {
      assert.ok(
        error instanceof OperatorError && error.code === "REGISTRY_FAILED" && says.test(error.message),
        String(error),
      );
      assert.ok(!`${JSON.stringify(error)}${error.stack}`.includes(canary));
      return true;
    });
  const home = newFolder();
  mkdirSync(join(home, ".docker"));
  writeFileSync(join(home, ".docker/config.json"), `{"auths": ${canary}`);
  await assert.rejects(findCredential("r.example", "a", { env, home, signal }), (error) => {
    assert.ok(error instanceof OperatorError && /no JSON/.test(error.message));
    assert.ok(!`${JSON.stringify(error)}${error.stack}${String(error.cause)}`.includes(canary));
    return true;
  });
});
