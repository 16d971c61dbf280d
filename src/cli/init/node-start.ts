import { parseCommandLine } from "./command-line.ts";
import { type Folder, hasFile } from "./folder.ts";
import type { NodeManifest } from "./node-manifest.ts";
import type { StartLine } from "./proposal.ts";
import { mayBeSecret } from "./secrets.ts";

/** How a project for Node is started. */
export interface NodeStart {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly from: string;
  /** It needs a shell, which a Debian recipe has not. */
  readonly viaShell: boolean;
  /** The file that node runs. */
  readonly program: string | undefined;
  /** A tool that is a development dependency and yet needed to run. */
  readonly developmentTool: string | undefined;
  readonly remarks: readonly string[];
}

/** Names that only a program for Node has. */
export const serverPrograms = ["server.js", "server.mjs", "server.cjs", "server.ts"];
/** Names that scripts of a page may have as well. */
export const otherPrograms = [
  "index.js",
  "app.js",
  "main.js",
  "index.mjs",
  "src/index.js",
  "src/server.js",
  "src/main.js",
];
const forDevelopers =
  /^(nodemon|nest start(?!.*--prod)|next dev|vite|tsc-watch|ts-node-dev|node --watch|concurrently)\b/;

/** @param wish how another tool's file says that it is started */
export function nodeStart(
  folder: Folder,
  manifest: NodeManifest,
  wish: StartLine | null,
  port: number,
): NodeStart | undefined {
  const line = wish ?? startScript(manifest);
  if (line !== null) return resolveLine(line, manifest, port);
  const program = [manifest.main?.replace(/^\.\//, ""), ...serverPrograms, ...otherPrograms].find(
    (name) => name !== undefined && hasFile(folder, name),
  );
  if (program === undefined) return undefined;
  const from = program === manifest.main?.replace(/^\.\//, "") ? "main in package.json" : "its name";
  return { words: ["node", program], env: {}, from, viaShell: false, program, developmentTool: undefined, remarks: [] };
}

function startScript(manifest: NodeManifest): StartLine | null {
  const start = manifest.scripts.get("start");
  const production = ["start:prod", "start:production", "serve:prod"].find((name) => manifest.scripts.has(name));
  const name =
    production !== undefined && (start === undefined || forDevelopers.test(start.trim())) ? production : "start";
  const line = manifest.scripts.get(name);
  return line === undefined ? null : { line, from: `scripts.${name}` };
}

function resolveLine({ line, from }: StartLine, manifest: NodeManifest, port: number): NodeStart {
  const remarks: string[] = [];
  const env: Record<string, string> = {};
  let text = line;
  let why = from;
  let script = /^scripts\.(.*)$/.exec(from)?.[1];
  // A script may call another; five are enough.
  for (let depth = 0; depth < 5; depth += 1) {
    const parsed = typeof text === "string" ? parseCommandLine(text, port) : { env: [], words: text, rest: "" };
    for (const [name, value] of parsed.env) {
      if (!mayBeSecret(name, value)) env[name] = value;
      else remarks.push(`${why} sets ${name}, which may be a secret; it is not in the image`);
    }
    const hasHooks =
      script !== undefined && (manifest.scripts.has(`pre${script}`) || manifest.scripts.has(`post${script}`));
    if (parsed.words === null || hasHooks) {
      const words = script === undefined ? ["/bin/sh", "-c", parsed.rest] : ["npm", "run", "--silent", script];
      // npm writes logs; the root is read-only.
      const npmEnv = script === undefined ? {} : { npm_config_cache: "/tmp/.npm", npm_config_update_notifier: "false" };
      return {
        words,
        env: { ...env, ...npmEnv },
        from: `${why}, which needs a shell`,
        viaShell: true,
        program: undefined,
        developmentTool: undefined,
        remarks,
      };
    }
    const called = calledScript(parsed.words, manifest);
    if (called === undefined) return finish(parsed.words, env, why, manifest, remarks);
    script = called;
    text = manifest.scripts.get(called) ?? "";
    why = `${from}, which runs scripts.${called}`;
  }
  return {
    words: ["npm", "start"],
    env,
    from: why,
    viaShell: true,
    program: undefined,
    developmentTool: undefined,
    remarks,
  };
}

/** The script that `npm start`, `yarn serve` or `pnpm run x` runs. */
function calledScript(words: readonly string[], manifest: NodeManifest): string | undefined {
  const [program = "", ...rest] = words;
  if (!["npm", "yarn", "pnpm", "bun"].includes(program)) return undefined;
  const names = rest.filter((word) => !word.startsWith("-") && word !== "run" && word !== "run-script");
  const name = names[0];
  return name !== undefined && names.length === 1 && manifest.scripts.has(name) ? name : undefined;
}

function finish(
  all: readonly string[],
  env: Readonly<Record<string, string>>,
  from: string,
  manifest: NodeManifest,
  remarks: string[],
): NodeStart {
  const envFile = all.find((word) => word.startsWith("--env-file="));
  if (envFile !== undefined)
    remarks.push(
      `${from} reads ${envFile.slice("--env-file=".length)}, which stays out of the image; set what it says with ENV, and keep secrets out of it`,
    );
  const [first = "", ...rest] = all.filter((word) => word !== envFile);
  const plain = { env, from, viaShell: false, remarks };
  if (first === "nodemon" || (first === "npx" && rest[0] === "nodemon")) {
    remarks.push(`${from} starts nodemon, which is for development; node is started instead`);
    const program = rest.find((word) => /\.[cm]?[jt]s$/.test(word)) ?? manifest.main ?? "index.js";
    return { ...plain, words: ["node", program], program, developmentTool: undefined };
  }
  const isPath = first.includes("/");
  if (isPath || ["node", "sh", "bash", "/bin/sh", "bun", "deno", "npm"].includes(first)) {
    const program = first === "node" ? rest.find((word) => /\.[cm]?[jt]s$/.test(word)) : undefined;
    return { ...plain, words: [first, ...rest], program: program?.replace(/^\.\//, ""), developmentTool: undefined };
  }
  const [tool = first, ...args] =
    first === "npx" ? rest.filter((word) => word !== "--yes" && word !== "-y") : [first, ...rest];
  const isDevelopment = manifest.devDependencies.has(tool) && !manifest.dependencies.has(tool);
  return {
    ...plain,
    words: [`node_modules/.bin/${tool}`, ...args],
    program: args.find((word) => /\.[cm]?[jt]s$/.test(word)),
    developmentTool: isDevelopment ? tool : undefined,
  };
}
