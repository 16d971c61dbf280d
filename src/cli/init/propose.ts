import { OperatorError } from "../../errors/operator-error.ts";
import type { Folder } from "./folder.ts";
import { appNameFrom, yamlList, yamlWord } from "./text.ts";

/** A definition for a folder, and what was assumed for it. */
export interface Proposal {
  readonly kind: "dockerfile" | "node" | "static";
  readonly yaml: string;
  /** One sentence each. */
  readonly assumed: readonly string[];
  /** What stands in the way of the first `bronze up`. */
  readonly todo: readonly string[];
}

/** Names that only a program for Node has. */
const serverPrograms = ["server.js", "server.mjs", "server.cjs"];
/** Names that scripts of a page may have as well. */
const otherPrograms = ["index.js", "app.js", "main.js", "index.mjs"];
const suite = "bookworm";
const defaultPort = 8080;

/** @throws {OperatorError} `NOT_FOUND` when the folder is none of the kinds that are known */
export function proposeDefinition(folder: Folder): Proposal {
  const dockerfile = ["Dockerfile", "Containerfile"].find((name) => folder.entries.includes(name));
  if (dockerfile !== undefined) return proposeDockerfile(folder, dockerfile);
  const manifest = folder.read("package.json");
  if (manifest !== undefined && !isOnlySite(folder, manifest)) return proposeNode(folder, manifest);
  const site = siteFolder(folder);
  const programs = site === undefined ? [...serverPrograms, ...otherPrograms] : serverPrograms;
  if (manifest === undefined && programs.some((name) => folder.hasFile(name))) return proposeNode(folder, "{}");
  if (site !== undefined) return proposeStatic(folder, site);
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot write a definition for "${folder.name}": it has no Dockerfile, package.json, server.js or index.html`,
    {
      hint: "write bronze.yaml yourself: `app: NAME` and `build: { dockerfile: PATH }`, `{ debian: bookworm, packages: […], copy: […], command: […] }` or `{ image: PATH }`",
    },
  );
}

function proposeDockerfile(folder: Folder, file: string): Proposal {
  const text = folder.read(file) ?? "";
  const lines = text.split("\n");
  const lastStage = lines.findLastIndex((line) => /^\s*FROM\s/i.test(line));
  const exposed = lines
    .slice(Math.max(lastStage, 0))
    .flatMap((line) => /^\s*EXPOSE\s+([0-9]{1,5})(\/tcp)?(\s|$)/i.exec(line)?.[1] ?? [])[0];
  const base = /^\s*FROM\s+(?:--\S+\s+)?(\S+)/i.exec(lines[lastStage] ?? "")?.[1];
  const runLine = lines.findIndex((line) => /^\s*RUN\s/i.test(line));
  const stages = lines.filter((line) => /^\s*FROM\s/i.test(line)).length;
  const port = exposed ?? String(defaultPort);
  return {
    kind: "dockerfile",
    yaml: [...head(folder, undefined), `build: { dockerfile: ${yamlWord(file)} }`, `run: { port: ${port} }`, ""].join(
      "\n",
    ),
    assumed: [
      exposed === undefined
        ? `${file} exposes no port; ${port} is assumed, and instances are told by PORT`
        : `port ${port}, from EXPOSE`,
    ],
    todo: [
      ...(base === undefined || base === "scratch"
        ? []
        : [`${file} builds on ${base}, which must be in the store: bronze import PATH --name ${base}`]),
      ...(runLine < 0
        ? []
        : [
            `${file} line ${runLine + 1} is a RUN step, not yet supported by this version: do that step before, and COPY what it makes`,
          ]),
      ...(stages < 2 ? [] : [`${file} has several stages, not yet supported by this version`]),
    ],
  };
}

interface PackageManifest {
  readonly name?: unknown;
  readonly main?: unknown;
  readonly type?: unknown;
  readonly scripts?: { readonly [name: string]: unknown };
  readonly dependencies?: object;
}

function parseManifest(text: string): PackageManifest {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    throw new OperatorError("DEFINITION_INVALID", `Cannot read "package.json": it is not JSON`, {
      hint: "correct it, then run `bronze init` again",
      cause,
    });
  }
  throw new OperatorError("DEFINITION_INVALID", `Cannot read "package.json": it is not an object`, {
    hint: "correct it, then run `bronze init` again",
  });
}

function proposeNode(folder: Folder, text: string): Proposal {
  const manifest = parseManifest(text);
  const { command, from } = nodeCommand(folder, manifest);
  const program = command.find((word) => /\.[cm]?js$/.test(word));
  const { port, why } = nodePort(program === undefined ? undefined : folder.read(program));
  const copy = folder.entries.filter((entry) => belongsInImage(entry)).map((entry) => entry.replace(/\/$/, ""));
  const dependencies = Object.keys(manifest.dependencies ?? {});
  return {
    kind: "node",
    yaml: [
      ...head(folder, typeof manifest.name === "string" ? manifest.name : undefined),
      "build:",
      `  debian: ${suite}`,
      "  packages: [nodejs]",
      "  # What the image holds of this folder; add what you add.",
      `  copy: ${yamlList(copy)}`,
      `  command: ${yamlList(command)}`,
      `run: { port: ${port} }`,
      "",
    ].join("\n"),
    assumed: [
      `started by ${command.join(" ")}, from ${from}`,
      why,
      `Node.js is the one of Debian ${suite} (18)`,
      `the image holds ${copy.join(", ")}`,
    ],
    todo: [
      ...(dependencies.length > 0 && !folder.entries.includes("node_modules/")
        ? [
            `${dependencies.length === 1 ? "1 dependency is" : `${dependencies.length} dependencies are`} not installed: run npm ${folder.entries.includes("package-lock.json") ? "ci" : "install"} --omit=dev, then add node_modules to copy`,
          ]
        : []),
      ...(typeof manifest.scripts?.["build"] === "string"
        ? ["package.json has a build step; run npm run build before bronze up, and copy what it makes"]
        : []),
    ],
  };
}

function nodeCommand(
  folder: Folder,
  manifest: PackageManifest,
): { readonly command: readonly string[]; readonly from: string } {
  const start = manifest.scripts?.["start"];
  // A line that needs a shell (variables, &&, quotes) is none we can take apart.
  if (typeof start === "string" && /^node\s+[A-Za-z0-9_./=@:-]+(\s+[A-Za-z0-9_./=@:-]+)*$/.test(start.trim())) {
    return { command: start.trim().split(/\s+/), from: "scripts.start" };
  }
  const main = typeof manifest.main === "string" ? manifest.main : undefined;
  const program = [main, ...serverPrograms, ...otherPrograms].find(
    (name) => name !== undefined && folder.hasFile(name),
  );
  if (program !== undefined) return { command: ["node", program], from: program === main ? "main" : "its name" };
  throw new OperatorError(
    "NOT_FOUND",
    `Cannot tell how "${folder.name}" is started: package.json has no start script of the form "node FILE", and there is no server.js or index.js`,
    {
      hint: "add a start script to package.json, or write bronze.yaml yourself",
    },
  );
}

function nodePort(source: string | undefined): { readonly port: number; readonly why: string } {
  const literal = /\blisten\(\s*([0-9]{2,5})\b/.exec(source ?? "")?.[1];
  if (literal !== undefined) return { port: Number(literal), why: `port ${literal}, from its listen call` };
  if (/env(\.|\[["'])PORT\b/.test(source ?? ""))
    return { port: defaultPort, why: `port ${defaultPort}, which it is told by PORT` };
  return {
    port: defaultPort,
    why: `port ${defaultPort}: no port was found in its source, and instances are told by PORT`,
  };
}

const siteFolders = ["public", "dist", "build", "site", "_site", "out", "www", "html"];

function siteFolder(folder: Folder): string | undefined {
  if (folder.hasFile("index.html")) return ".";
  return siteFolders.find((name) => folder.hasFile(`${name}/index.html`));
}

/** A package.json that only builds a site: nothing to start, but a folder with an index page. */
function isOnlySite(folder: Folder, text: string): boolean {
  const { scripts, main } = parseManifest(text);
  const starts =
    scripts?.["start"] !== undefined ||
    main !== undefined ||
    ["server.js", "index.js", "app.js", "main.js"].some((name) => folder.hasFile(name));
  return !starts && siteFolder(folder) !== undefined;
}

function proposeStatic(folder: Folder, site: string): Proposal {
  const own = folder.entries.filter(
    (entry) => belongsInImage(entry) && entry !== "package.json" && entry !== "package-lock.json",
  );
  const copy =
    site === "." ? yamlList(own.map((entry) => entry.replace(/\/$/, ""))) : `[{ from: ${site}, to: /srv/www }]`;
  return {
    kind: "static",
    yaml: [
      ...head(folder, undefined),
      "build:",
      `  debian: ${suite}`,
      "  packages: [busybox]",
      "  workdir: /srv/www",
      ...(site === "." ? ["  # What the site is made of; add what you add."] : []),
      `  copy: ${copy}`,
      `  command: [busybox, httpd, -f, -p, "${defaultPort}", -h, /srv/www]`,
      `run: { port: ${defaultPort} }`,
      "",
    ].join("\n"),
    assumed: [
      `the site is ${site === "." ? `${own.join(", ")} of this folder` : `the folder ${site}`}`,
      `served by busybox httpd on port ${defaultPort}`,
    ],
    todo: [],
  };
}

/** Hidden files (secrets, version control), the definition itself and what only developers read stay out. */
function belongsInImage(entry: string): boolean {
  if (entry.startsWith(".") && entry !== ".well-known/") return false;
  return !/^(bronze\.ya?ml|Dockerfile|Containerfile|docker-compose.*|compose\.ya?ml|README.*|CHANGELOG.*|CONTRIBUTING.*|LICEN[CS]E.*|.*\.log|coverage\/|tests?\/|__tests__\/)$/i.test(
    entry,
  );
}

function head(folder: Folder, name: string | undefined): readonly string[] {
  return [`app: ${yamlWord(appNameFrom(name ?? folder.name))}`];
}
