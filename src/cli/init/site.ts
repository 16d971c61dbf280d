import { appUser, listInstruction } from "./dockerfile-text.ts";
import { type Folder, hasFile, readText } from "./folder.ts";
import { nginxCommand, nginxLines, type NginxSite } from "./nginx.ts";
import type { Assumption, BuildPlan, Plan, Wishes } from "./proposal.ts";
import { belongsInImage, copied } from "./recipe.ts";
import { defaultPort } from "./source-hints.ts";
import { isWritten, yamlWord } from "./text.ts";

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

/** A site of files as they are, served by Debian's nginx. */
export function planStatic(folder: Folder, site: string, port: number): Plan {
  const file = ["nginx.conf", "nginx.bronze.conf"].find((name) => {
    const text = readText(folder, name);
    return text === undefined || isWritten(text);
  });
  const conf = file ?? "nginx.bronze.conf";
  const entries = folder.entries.filter((entry) => belongsInSite(entry) && entry !== conf);
  const own = site === "." ? copied(folder, entries) : [];
  const text = `${nginxLines({ from: "index.html", port, singlePage: false, hashed: null }).join("\n")}\n`;
  return {
    kind: "static",
    name: null,
    build: {
      kind: "debian",
      suite: recipeSuite,
      packages: ["nginx"],
      workdir: "/srv/www",
      copy: [...(site === "." ? own : [{ from: site, to: "/srv/www" }]), { from: conf, to: "/etc/nginx/nginx.conf" }],
      copyNote: site === "." ? "What the site is made of; add what you add." : null,
      env: {},
      command: nginxCommand,
    },
    files: readText(folder, conf) === undefined ? [{ path: conf, text }] : [],
    holdsSources: false,
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
      { what: `nginx serves it on port ${port}, as ${conf} says`, why: whyNginx },
    ],
    notCarriedOver: [],
    todo: [],
  };
}

const whyNginx = "it needs no root, no writable disk, and knows the types of files";

function belongsInSite(entry: string): boolean {
  return belongsInImage(entry) && !/^(package(-lock)?\.json|node_modules\/|config\/)$/.test(entry);
}

/** The last stage of a site that is built to files. @param from folder of the stage `build` */
export function siteStage(from: string, site: NginxSite): readonly string[] {
  return [
    "FROM nginx:stable-alpine-slim",
    "COPY <<'EOF' /etc/nginx/nginx.conf",
    ...nginxLines(site).slice(1),
    "EOF",
    `COPY --from=build ${from} /srv/www/`,
    "ENTRYPOINT []",
    `USER ${appUser}`,
    `EXPOSE ${site.port}`,
    listInstruction("CMD", nginxCommand),
  ];
}

/** The parts of a plan that every kind of written Dockerfile has alike. */
export function writtenDockerfile(text: string): BuildPlan {
  return { kind: "dockerfile", path: "Dockerfile", target: null, args: {}, text };
}

export function servedBy(port: number, framework: string, why: string): readonly Assumption[] {
  return [
    { what: `${framework} builds to files only`, why },
    { what: `nginx serves them on port ${port}`, why: whyNginx },
  ];
}
