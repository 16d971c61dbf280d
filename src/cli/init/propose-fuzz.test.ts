import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseDefinition } from "../../definition/parse.ts";
import { OperatorError } from "../../errors/operator-error.ts";
import { propose } from "./propose.ts";
import { folderOf } from "./testing.ts";

const names = [
  "package.json",
  "package-lock.json",
  "pnpm-workspace.yaml",
  ".npmrc",
  ".nvmrc",
  "server.js",
  "requirements.txt",
  "pyproject.toml",
  "Pipfile",
  "manage.py",
  "app.py",
  "Dockerfile",
  "Procfile",
  "compose.yaml",
  "config/deploy.yml",
  "index.html",
  "a\nb.css",
  "apps/web/package.json",
];

/** Pieces that files of these kinds are made of, whole and broken, beside any text. */
const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom(
    '{"name":"x","scripts":{"start":"node server.js","build":"tsc"},"dependencies":{"next":"1"}}',
    '{"engines":{"node":">=20 <"},"workspaces":["apps/*"],"packageManager":"pnpm@9"}',
    "[project]\ndependencies = ['flask', 3]\nrequires-python = '>=3,<='\n",
    "app = Flask(__name__)\n",
    "FROM x AS y\nEXPOSE 99999\nENTRYPOINT [\nFROM y\n",
    "web: a --port $PORT && b\nrelease: x\n",
    "worker: a \u0001 'b\nB_e: X=1 c | d\nweb: e\n",
    "services: { web: { build: . }, Job: { build: ., command: [x, ''], mem_limit: 0.1b, scale: 0 }, j: { build: ., entrypoint: [] } }\n",
    "services: { web: { build: ., command: [1, {}], ports: [{}], environment: [A, 'B=${C:-d}'], deploy: 3 } }\n",
    "services: { 'a(': { image: x }, w: { build: { context: ., target: '', args: { A: '' } }, mem_limit: 1, cpus: 1e-9, pids_limit: 1.5, environment: { B: x } } }\n",
    "services: { w: { build: ., healthcheck: { test: 'curl http://localhost/é', start_period: 99999999h }, labels: ['traefik.http.routers.a.rule=Host(`a..b`)'] } }\n",
    "service: Ä\nservers: { web: { cmd: 3 } }\nproxy: { app_port: x, hosts: [1] }\nenv: { clear: [] }\n",
    "\n",
    "<%= x %>\n",
  ),
);
const files = fc.dictionary(
  fc.constantFrom(...names),
  fc.array(piece, { maxLength: 3 }).map((pieces) => pieces.join("")),
  {
    maxKeys: 6,
  },
);

test("propose() refuses any folder in words, or writes a definition that is one", () => {
  let proposals = 0;
  fc.assert(
    fc.property(files, (folder) => {
      try {
        const proposal = propose(folderOf(folder));
        const yaml = proposal.files.at(-1);
        assert.equal(yaml?.path, "bronze.yaml");
        parseDefinition(yaml.text, "bronze.yaml");
        proposals += 1;
      } catch (error) {
        if (!(error instanceof OperatorError) || error.message.includes('"bronze.yaml"')) throw error;
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(proposals > 100, `${proposals} proposals`);
});

test("propose() writes down and tells no value that a file gives as a secret", () => {
  const canary = "hunter2hunter2";
  const place = fc.constantFrom(
    `services: { web: { build: ., environment: { DB_PASSWORD: ${canary} } } }`,
    `services: { web: { build: ., environment: ["URL=postgres://me:${canary}@db/x"] } }`,
    `services: { web: { build: { context: ., args: { TOKEN: ${canary} } } } }`,
    `services: { web: { build: ., command: "serve --token ${canary}" } }`,
    `services: { web: { build: ., healthcheck: { test: "curl http://me:${canary}@localhost/x" } } }`,
    `services: { web: { build: . }, db: { image: postgres, environment: { POSTGRES_PASSWORD: ${canary} } } }`,
    `services: { web: { build: ., labels: ["x.secret=${canary}"] } }\nsecrets: { a: { environment: ${canary} } }`,
  );
  fc.assert(
    fc.property(place, fc.constantFrom("Dockerfile", "server.js", "app.py"), (compose, own) => {
      const { files: written, ...told } = propose(folderOf({ "compose.yaml": compose, [own]: "FROM x\n" }));
      assert.doesNotMatch(JSON.stringify([written, told]), /hunter2/);
    }),
  );
});
