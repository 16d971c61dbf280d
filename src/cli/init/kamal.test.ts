import assert from "node:assert/strict";
import { test } from "node:test";
import { proposed } from "./testing.ts";

const deploy = `
service: Shop_App
image: me/shop
servers:
  web:
    hosts: [192.0.2.1, 192.0.2.2]
    cmd: bin/serve --port 3000
  job:
    hosts: [192.0.2.3]
    cmd: bin/jobs
proxy:
  ssl: true
  host: shop.example
  app_port: 3000
  healthcheck: { path: /up, interval: 3 }
registry:
  username: me
  password: [hunter2]
env:
  clear:
    RAILS_LOG_LEVEL: warn
    DB_HOST: 192.0.2.4
    DB_PASSWORD: hunter2
  secret: [RAILS_MASTER_KEY, "API:SHOP_API"]
builder:
  arch: amd64
  args: { RUBY_VERSION: "3.4", TOKEN: hunter2 }
accessories:
  db: { image: postgres, host: 192.0.2.4 }
volumes: ["data:/data"]
<% if true %>
aliases: { console: app exec }
<% end %>
`;

test("propose() carries Kamal's deploy.yml over and names the rest", () => {
  const { definition, notCarriedOver, told, files } = proposed({
    "config/deploy.yml": deploy,
    Dockerfile: 'FROM ruby\nENTRYPOINT ["/rails/bin/docker-entrypoint"]\nEXPOSE 80\n',
    "compose.yaml": "services: { web: { build: . } }",
    "config/deploy.staging.yml": "",
  });
  assert.equal(definition.app, "shop-app");
  assert.deepEqual(definition.run.command, ["/rails/bin/docker-entrypoint", "bin/serve", "--port", "3000"]);
  assert.ok(definition.build.kind === "dockerfile");
  assert.deepEqual(Object.entries(definition.build.args ?? {}), [["RUBY_VERSION", "3.4"]]);
  assert.deepEqual([definition.run.port, definition.run.health.path], [3000, "/up"]);
  const config = { RAILS_LOG_LEVEL: "warn", DB_HOST: "192.0.2.4" };
  assert.deepEqual(definition.config, { kind: "values", values: config });
  assert.equal(definition.environments[0]?.settings.route?.host, "shop.example");
  assert.deepEqual(definition.run.processes?.["job"]?.command, ["/rails/bin/docker-entrypoint", "bin/jobs"]);
  const named = notCarriedOver.map(({ what }) => what);
  for (const part of [
    "the image's name",
    "2 servers of web",
    "1 server of job",
    "TLS (proxy.ssl)",
    "environment variable DB_PASSWORD",
    "secret RAILS_MASTER_KEY",
    "secret API",
    "builder.arch",
    "build argument TOKEN",
    "accessories",
    "proxy.healthcheck's interval",
    "config/deploy.staging.yml",
    "volumes",
  ])
    assert.ok(named.includes(part), `${part} is not among ${named.join("; ")}`);
  assert.match(told, /compose\.yaml is not read: config\/deploy\.yml is there too/);
  assert.doesNotMatch(files.map(({ text }) => text).join("\n") + told, /hunter2/);
});

test("propose() takes the processes of a Procfile, web with its port, and says how to write the release step", () => {
  const { dockerfile, definition, told } = proposed({
    Procfile:
      "web: gunicorn shop.wsgi -b 0.0.0.0:$PORT --workers 2\nrelease: python manage.py migrate\nworker: celery -A shop worker\n",
    "requirements.txt": "gunicorn==23.0.0\n",
    "manage.py": "",
  });
  assert.match(dockerfile, /CMD \["gunicorn", "shop\.wsgi", "-b", "0\.0\.0\.0:8000", "--workers", "2"\]/);
  assert.equal(definition.run.port, 8000);
  assert.deepEqual(definition.run.processes?.["worker"]?.command, ["celery", "-A", "shop", "worker"]);
  assert.match(told, /assumed: the process worker, started by celery -A shop worker: Procfile line 3 says so/);
  assert.match(
    told,
    /not carried over: the release step \(Procfile line 2\): add release: \{ run: \[python, manage.py, migrate\], reversible: true \}/,
  );
});

test("propose() takes no command with a secret from a Procfile", () => {
  const { definition, told, files } = proposed({
    Procfile: "web: node server.js --api-key=hunter2\n",
    "server.js": "x.listen(3000)",
  });
  assert.match(told, /not carried over: command \(Procfile line 1\)/);
  assert.ok(definition.build.kind === "debian");
  assert.deepEqual(definition.build.command, ["node", "server.js"]);
  assert.doesNotMatch(files.map(({ text }) => text).join("\n") + told, /hunter2/);
});

test("propose() goes by the command of a Procfile where a project has several languages", () => {
  const both = {
    "package.json": "{}",
    "requirements.txt": "flask==3\n",
    "server.js": "x.listen(3000)",
    "app.py": "app = Flask(__name__)",
  };
  assert.equal(proposed({ ...both, Procfile: "web: node server.js" }).kind, "node");
  assert.equal(proposed({ ...both, Procfile: "web: gunicorn app:app" }).kind, "python");
});
