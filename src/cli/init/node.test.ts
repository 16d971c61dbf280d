import assert from "node:assert/strict";
import { test } from "node:test";
import { proposed } from "./testing.ts";

const json = JSON.stringify;
const express = { scripts: { start: "node server.js" }, dependencies: { express: "4" } };
const server = "const port = process.env.PORT || 3000;\napp.get('/healthz', ok);\napp.listen(port);\n";

test("planNode() installs from the lock file in one stage where nothing is built", () => {
  const { dockerfile, definition, told, files } = proposed({
    "package.json": json({ ...express, engines: { node: "^22.4" } }),
    "package-lock.json": "{}",
    "server.js": server,
    ".env": "TOKEN=1",
  });
  assert.equal(
    dockerfile,
    `# Written by bronze init from package.json; yours to change.
FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev
COPY . .
USER 65532:65532
EXPOSE 3000
CMD ["node", "server.js"]
`,
  );
  assert.deepEqual([definition.run.port, definition.run.health.path], [3000, "/healthz"]);
  assert.match(told, /port 3000: server\.js line 1 takes what PORT says, and 3000 without it/);
  assert.match(told, /Node\.js 22, from the image node:22-slim: engines\.node in package\.json is \^22\.4/);
  assert.deepEqual(
    files.map(({ path }) => path),
    ["Dockerfile", ".dockerignore", "bronze.yaml"],
  );
  assert.match(files[1]?.text ?? "", /^\*\*\/\.env$/m);
  assert.match(files[1]?.text ?? "", /^\*\*\/node_modules$/m);
});

/** What a manifest and some files make of the Dockerfile. */
const dockerfiles: readonly (readonly [what: string, manifest: object, files: object, ...wanted: RegExp[]])[] = [
  [
    "builds beside the packages that are needed to run",
    { ...express, scripts: { start: "node dist/main", build: "tsc" } },
    { "package-lock.json": "{}" },
    /FROM base AS dependencies\nRUN \S+ npm ci --omit=dev\n\nFROM base AS build\nRUN \S+ npm ci\nCOPY \. \.\nRUN npm run build && rm -rf node_modules/,
    /COPY --from=dependencies \/app\/node_modules node_modules\nCOPY --from=build \/app \.\/\n/,
  ],
  [
    "has no stage for packages where a build needs them only",
    { scripts: { start: "node dist/main", build: "tsc" }, devDependencies: { typescript: "5" } },
    { "package-lock.json": "{}" },
    /^(?![\s\S]*dependencies)[\s\S]*COPY --from=build \/app \.\/\n/,
  ],
  [
    "copies the project before it installs where packages are in it",
    { ...express, dependencies: { local: "file:packages/local" } },
    { "package-lock.json": "{}", "packages/local/package.json": "{}" },
    /COPY \. \.\nRUN \S+ npm ci\nRUN \S+ npm prune --omit=dev\n/,
  ],
  [
    "does so for workspaces and hooks of an installation",
    { ...express, scripts: { start: "node server.js", postinstall: "patch-package" } },
    { "package-lock.json": "{}" },
    /COPY \. \.\nRUN \S+ npm ci\n/,
  ],
  [
    "takes pnpm of the version that is asked for",
    { ...express, packageManager: "pnpm@9.1.0+sha512.abc" },
    { "pnpm-lock.yaml": "lockfileVersion: '9.0'\n" },
    /RUN npm install --global pnpm@9\.1\.0\nCOPY package\.json pnpm-lock\.yaml \.\/\n/,
    /pnpm install --frozen-lockfile --prod/,
  ],
  [
    "takes Yarn 1 for its lock file",
    express,
    { "yarn.lock": "# yarn lockfile v1\n" },
    /npm install --global --force yarn@1\.22\.22/,
    /yarn install --frozen-lockfile --production/,
  ],
  [
    "takes a Yarn of the project's own",
    express,
    { "yarn.lock": "__metadata:\n  version: 8\n", ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.1.0.cjs\n" },
    /COPY package\.json yarn\.lock \.yarnrc\.yml \.\//,
    /COPY \.yarn\/releases \.yarn\/releases\nRUN \S+ node \.yarn\/releases\/yarn-4\.1\.0\.cjs workspaces focus --all --production/,
    /YARN_NODE_LINKER=node-modules/,
  ],
  [
    "takes Bun for its lock file",
    { ...express, scripts: { start: "bun src/index.ts" } },
    { "bun.lock": "{}", "src/index.ts": "" },
    /FROM oven\/bun:1-slim/,
    /CMD \["bun", "src\/index\.ts"\]/,
  ],
  [
    "installs with compilers what may have to be compiled",
    express,
    { "package-lock.json": json({ packages: { "node_modules/node-addon-api": {} } }) },
    /FROM node:26 AS build\n/,
    /FROM node:26-slim\n/,
  ],
  [
    "hands a token of .npmrc to the installation alone",
    express,
    {
      "package-lock.json": "{}",
      ".npmrc": "@me:registry=https://npm.example/\n//npm.example/:_authToken=${NPM_TOKEN}\n",
    },
    /COPY package\.json package-lock\.json \.npmrc \.\//,
    /--mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN npm ci/,
  ],
  [
    "keeps an .npmrc with a token out of the image",
    express,
    { "package-lock.json": "{}", ".npmrc": "//npm.example/:_authToken=npm_abcdefghij0123456789\n" },
    /COPY package\.json package-lock\.json \.\//,
    /--mount=type=secret,id=npmrc,target=\/app\/\.npmrc npm ci/,
  ],
  [
    "starts a package's program by its path",
    { scripts: { start: "remix-serve build/index.js" }, dependencies: { "@remix-run/serve": "2" } },
    { "package-lock.json": "{}" },
    /CMD \["node_modules\/\.bin\/remix-serve", "build\/index\.js"\]/,
    /EXPOSE 3000/,
  ],
  [
    "sets variables that a start script sets",
    { ...express, scripts: { start: "cross-env NODE_ENV=production LOG=1 node server.js" } },
    { "package-lock.json": "{}" },
    /LOG=1\n/,
    /CMD \["node", "server\.js"\]/,
  ],
  [
    "lets npm run a start script that needs a shell",
    { ...express, scripts: { start: "prisma migrate deploy && node server.js" } },
    { "package-lock.json": "{}" },
    /CMD \["npm", "run", "--silent", "start"\]/,
    /npm_config_cache=\/tmp\/\.npm/,
  ],
  [
    "follows scripts that call others, and prefers the one for production",
    { ...express, scripts: { start: "nodemon x.js", "start:prod": "npm run serve", serve: "node out/x.js" } },
    { "package-lock.json": "{}" },
    /CMD \["node", "out\/x\.js"\]/,
  ],
  [
    "keeps development dependencies where one of them starts it",
    { scripts: { start: "tsx server.ts" }, devDependencies: { tsx: "4" } },
    { "package-lock.json": "{}", "server.ts": "" },
    /npm ci\nCOPY \. \.\nENV NODE_ENV=production\n/,
    /CMD \["node_modules\/\.bin\/tsx", "server\.ts"\]/,
  ],
  [
    "takes what Next.js puts together for a server",
    { scripts: { build: "next build", start: "next start" }, dependencies: { next: "15" } },
    { "package-lock.json": "{}", "next.config.mjs": "export default { output: 'standalone' }" },
    /RUN --mount=type=cache,target=\/app\/\.next\/cache npm run build/,
    /COPY --from=build \/app\/\.next\/standalone \.\/\nCOPY --from=build \/app\/\.next\/static \.next\/static\n/,
    /CMD \["node", "server\.js"\]/,
  ],
  [
    "takes all of Next.js without",
    { scripts: { build: "next build", start: "next start" }, dependencies: { next: "15" } },
    { "package-lock.json": "{}" },
    /CMD \["node_modules\/\.bin\/next", "start"\]/,
  ],
  [
    "takes what Nuxt makes",
    { scripts: { build: "nuxt build" }, dependencies: { nuxt: "3" } },
    { "package-lock.json": "{}" },
    /COPY --from=build \/app\/\.output \.\/\n[\s\S]*CMD \["node", "server\/index\.mjs"\]/,
  ],
  [
    "serves what Vite builds by nginx, every path by its one page",
    { scripts: { dev: "vite", build: "vite build" }, devDependencies: { vite: "6" } },
    { "package-lock.json": "{}", "index.html": "", "vite.config.ts": "build: { outDir: './web' }" },
    /RUN npm run build\n\nFROM nginx:stable-alpine-slim\n/,
    /try_files \$uri \/index\.html;\n/,
    /location \^~ \/assets\/ \{\n +add_header Cache-Control "public, max-age=31536000, immutable";/,
    /COPY --from=build \/app\/web\/ \/srv\/www\//,
    /USER 65532:65532\nEXPOSE 8080\n/,
  ],
  [
    "serves pages of Astro one by one",
    { scripts: { build: "astro build" }, dependencies: { astro: "5" } },
    { "package-lock.json": "{}" },
    /try_files \$uri \$uri\.html \$uri\/ =404;/,
  ],
  [
    "starts Astro where it has a server",
    { scripts: { build: "astro build" }, dependencies: { astro: "5", "@astrojs/node": "9" } },
    { "package-lock.json": "{}" },
    /CMD \["node", "dist\/server\/entry\.mjs"\]/,
    /HOST=0\.0\.0\.0/,
  ],
  [
    "starts the server of a project whose pages Vite builds",
    { scripts: { build: "vite build", start: "node server.js" }, dependencies: { express: "4", vite: "6" } },
    { "package-lock.json": "{}", "index.html": "" },
    /CMD \["node", "server\.js"\]/,
  ],
];
for (const [what, manifest, files, ...wanted] of dockerfiles) {
  test(`planNode() ${what}`, () => {
    const { dockerfile } = proposed({ "package.json": json(manifest), ...files });
    for (const pattern of wanted) assert.match(dockerfile, pattern);
    assert.match(dockerfile, /\nUSER 65532:65532\n/);
  });
}

/** What is told about a manifest and some files. */
const remarks: readonly (readonly [what: string, manifest: object, files: object, wanted: RegExp])[] = [
  [
    "a variable of a start script that may be a secret",
    { ...express, scripts: { start: "API_KEY=hunter2 LOG=1 node server.js" } },
    {},
    /^(?![\s\S]*hunter2)[\s\S]*to do: scripts\.start sets API_KEY, which may be a secret/,
  ],
  ["a missing lock file", express, {}, /to do: there is no lock file/],
  [
    "a server that listens for its own machine only",
    express,
    { "server.js": "app.listen(3000, '127.0.0.1')" },
    /to do: server\.js line 1 listens for its own machine only/,
  ],
  [
    "Fastify without a host",
    { ...express, dependencies: { fastify: "5" } },
    { "server.js": "app.listen({ port: 3000 })" },
    /to do: server\.js starts Fastify without a host/,
  ],
  [
    "a .dockerignore that lets packages in",
    express,
    { ".dockerignore": "dist\n" },
    /to do: add node_modules to \.dockerignore/,
  ],
  [
    "secrets that .dockerignore lets in",
    express,
    { ".dockerignore": "node_modules\n.git*\n", ".env": "", ".git/x": "" },
    /to do: add \.env to \.dockerignore: it would be in the image$/,
  ],
  [
    "a file of variables that is not there",
    { ...express, scripts: { start: "node --env-file=.env server.js" } },
    {},
    /to do: scripts\.start reads \.env, which stays out of the image/,
  ],
  ["the version of @types/node", { ...express, devDependencies: { "@types/node": "^20.1" } }, {}, /Node\.js 20, from/],
  ["the version of .nvmrc", express, { ".nvmrc": "v22.11.0\n" }, /Node\.js 22\.11\.0, .*: \.nvmrc says so/],
  ["the version of .tool-versions", express, { ".tool-versions": "python 3.1\nnodejs 18.2.0\n" }, /Node\.js 18\.2\.0/],
  ["a route of Next.js", express, { "app/api/health/route.ts": "" }, /healthy when \/api\/health answers 2xx/],
];
for (const [what, manifest, files, wanted] of remarks) {
  test(`planNode() tells of ${what}`, () => {
    assert.match(proposed({ "package.json": json(manifest), ...files }).told, wanted);
  });
}

test("planNode() keeps what a server writes in memory", () => {
  const manifest = { scripts: { build: "next build", start: "next start" }, dependencies: { next: "15" } };
  assert.deepEqual(proposed({ "package.json": json(manifest) }).definition.run.tmpfs, ["/app/.next/cache"]);
});

test("planNode() takes the package of a monorepo that can be started, and builds it with what it needs", () => {
  const { dockerfile, told, definition } = proposed({
    "package.json": json({ name: "acme", private: true, workspaces: ["apps/*", "packages/*"] }),
    "package-lock.json": "{}",
    "apps/docs/package.json": json({ scripts: { start: "node docs.js" } }),
    "apps/web/package.json": json({
      name: "@acme/web",
      scripts: { build: "next build", start: "next start" },
      dependencies: { next: "15" },
    }),
    "packages/ui/package.json": json({ name: "@acme/ui" }),
  });
  assert.match(dockerfile, /COPY \. \.\nRUN \S+ npm ci\n/);
  assert.match(dockerfile, /target=\/app\/apps\/web\/\.next\/cache npm run build --workspace=apps\/web\n/);
  assert.match(dockerfile, /WORKDIR \/app\/apps\/web\nUSER 65532:65532\nEXPOSE 3000\nCMD \["next", "start"\]/);
  assert.match(told, /assumed: the app is the package in apps\/web: apps\/docs can be started too/);
  assert.deepEqual([definition.app, definition.run.tmpfs], ["acme", ["/app/apps/web/.next/cache"]]);
});

test("planNode() builds the site in a package of a monorepo of pnpm", () => {
  const { dockerfile } = proposed({
    "package.json": json({ private: true, scripts: { start: "turbo run start" } }),
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
    "pnpm-workspace.yaml": "packages: [web]\n",
    "web/package.json": json({ scripts: { build: "vite build" }, devDependencies: { vite: "6" } }),
  });
  assert.match(dockerfile, /RUN pnpm --filter "\.\/web\.\.\." run build\n/);
  assert.match(dockerfile, /COPY --from=build \/app\/web\/dist\/ \/srv\/www\//);
});
