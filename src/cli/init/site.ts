import { type Folder, hasFile } from "./folder.ts";
import type { Assumption, BuildPlan, Plan, Wishes } from "./proposal.ts";
import { belongsInImage, copied } from "./recipe.ts";
import { defaultPort } from "./source-hints.ts";
import { yamlWord } from "./text.ts";

const siteFolders = ["public", "dist", "build", "site", "_site", "out", "www", "html", "docs"];
export const recipeSuite = "bookworm";

/** The folder that has an index page: ".", or one below; undefined: none has. */
export function siteFolder(folder: Folder): string | undefined {
  if (hasFile(folder, "index.html")) return ".";
  return siteFolders.find((name) => hasFile(folder, `${name}/index.html`));
}

/** The port of a server that is ours to set up: nobody's user can listen on it. */
export function sitePort(wishes: Wishes): number {
  const wanted = wishes.port?.value ?? defaultPort;
  return wanted < 1024 ? defaultPort : wanted;
}

/** A site of files as they are, served by busybox from Debian. */
export function planStatic(folder: Folder, site: string, port: number): Plan {
  const own = site === "." ? copied(folder, folder.entries.filter(belongsInSite)) : [];
  const untyped = folder.files.find(
    (path) => /\.(mjs|wasm)$/.test(path) && (site === "." || path.startsWith(`${site}/`)),
  );
  return {
    kind: "static",
    name: null,
    build: {
      kind: "debian",
      suite: recipeSuite,
      packages: ["busybox"],
      workdir: "/srv/www",
      copy: site === "." ? own : [{ from: site, to: "/srv/www" }],
      copyNote: site === "." ? "What the site is made of; add what you add." : null,
      env: {},
      commandNote: "A first process ends at SIGTERM only when it says so; httpd does not.",
      command: ["busybox", "sh", "-c", `trap 'exit 0' TERM; busybox httpd -f -p ${port} -h /srv/www & wait`],
    },
    port,
    command: null,
    healthPath: null,
    tmpfs: [],
    ignore: null,
    assumed: [
      {
        what: `the site is ${site === "." ? own.map(yamlWord).join(", ") : `the folder ${site}`}`,
        why: `${site === "." ? "" : `${site}/`}index.html is there`,
      },
      { what: `busybox httpd serves it on port ${port}`, why: "it has no build step" },
    ],
    notCarriedOver: [],
    todo:
      untyped === undefined
        ? []
        : [
            `busybox httpd tells browsers no type for ${untyped}; a module needs one, so name it .js or serve it otherwise`,
          ],
  };
}

function belongsInSite(entry: string): boolean {
  return belongsInImage(entry) && !/^(package(-lock)?\.json|node_modules\/|config\/)$/.test(entry);
}

/** The last stage of a site that is built to files: nginx, as nobody's user on a read-only root. */
export function siteStage(from: string, singlePage: boolean, port: number): readonly string[] {
  const fallback = singlePage ? "$uri /index.html" : "$uri $uri.html $uri/index.html =404";
  return [
    "FROM nginx:stable-alpine-slim",
    "COPY <<'EOF' /etc/nginx/nginx.conf",
    "worker_processes 1;",
    "pid /tmp/nginx.pid;",
    "error_log stderr warn;",
    "events { worker_connections 1024; }",
    "http {",
    "  include mime.types;",
    "  types { text/javascript mjs; }",
    "  default_type application/octet-stream;",
    "  access_log off;",
    "  sendfile on;",
    "  gzip on;",
    "  gzip_types text/css text/javascript application/javascript application/json image/svg+xml;",
    "  client_body_temp_path /tmp/body;",
    "  proxy_temp_path /tmp/proxy;",
    "  fastcgi_temp_path /tmp/fastcgi;",
    "  uwsgi_temp_path /tmp/uwsgi;",
    "  scgi_temp_path /tmp/scgi;",
    "  server {",
    `    listen ${port};`,
    "    root /srv/www;",
    `    location / { try_files ${fallback}; }`,
    "  }",
    "}",
    "EOF",
    `COPY --from=build ${from} /srv/www/`,
    "ENTRYPOINT []",
  ];
}

/** The parts of a plan that every kind of written Dockerfile has alike. */
export function writtenDockerfile(text: string): BuildPlan {
  return { kind: "dockerfile", path: "Dockerfile", target: null, args: {}, text };
}

export function servedBy(port: number, framework: string, why: string): readonly Assumption[] {
  return [
    { what: `${framework} builds to files only`, why },
    {
      what: `nginx serves them on port ${port}`,
      why: "it needs no root, no writable disk and knows all types of files",
    },
  ];
}
