import { type Folder, readText } from "./folder.ts";
import { lineAt } from "./text.ts";

export interface PortHint {
  readonly port: number;
  readonly why: string;
}

export const defaultPort = 8080;
/** Ports of databases, mail and queues: where the app goes, not where it listens. */
const ofOthers = new Set([25, 465, 587, 1025, 2525, 3306, 5432, 5672, 6379, 9092, 9200, 11211, 27017]);
const mostScanned = 300;
const notTheApp =
  /(^|\/)(tests?|__tests__|e2e|spec|docs?|examples?|scripts|dist|build|out|public|static|assets|coverage|migrations)\/|\.(test|spec|stories|config|min)\.|\.d\.ts$/;

/** Files of source code that may be the app's own, the program first, then those nearest to the top. */
export function sourceFiles(folder: Folder, endings: RegExp, program?: string): readonly string[] {
  const depth = (path: string): number => path.split("/").length;
  const code = folder.files.filter((path) => endings.test(path) && !notTheApp.test(path) && path !== program);
  const sorted = code.toSorted((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1)).slice(0, mostScanned);
  return program === undefined ? sorted : [program, ...sorted];
}

const told: readonly RegExp[] = [
  /env(?:iron)?(?:\.PORT\b|\[["'`]PORT["'`]\])[\s)]*(?:\|\||\?\?)\s*["'`]?([0-9]{2,5})\b/,
  /(?:environ\.get|getenv)\(\s*["']PORT["']\s*,\s*["']?([0-9]{2,5})\b/,
  /(?:env(?:iron)?(?:\.PORT\b|\[["'`]PORT["'`]\]))|(?:environ\.get|getenv|config|env)\(\s*["']PORT["']/,
];
const written: readonly RegExp[] = [
  /\.listen\(\s*([0-9]{2,5})\b/,
  /\bserve\(\s*(?:\{[^}]{0,200}?\bport:\s*)([0-9]{2,5})\b/,
  /(?:HTTPServer|TCPServer)\(\s*\(\s*["'][^"']*["']\s*,\s*([0-9]{2,5})\b/,
  /\bport\s*[:=]\s*([0-9]{4,5})\b/i,
];

/**
 * The port a program listens on. What it is told by PORT may be any; then the one it takes otherwise is the best.
 *
 * @param usual the port of its framework, with its name
 */
export function findPort(
  folder: Folder,
  files: readonly string[],
  usual: { readonly port: number; readonly of: string } | null,
): PortHint {
  for (const patterns of [told, written]) {
    for (const file of files) {
      const text = readText(folder, file) ?? "";
      for (const pattern of patterns) {
        const match = pattern.exec(text);
        if (match === null) continue;
        const place = `${file} line ${lineAt(text, match.index)}`;
        const port = Number(match[1] ?? usual?.port ?? defaultPort);
        if (port < 1 || port > 65_535 || ofOthers.has(port)) continue;
        if (patterns === written) return { port, why: `${place} listens on it` };
        if (port < 1024) return { port: usual?.port ?? defaultPort, why: `${place} takes what PORT says` };
        return {
          port,
          why: `${place} takes what PORT says${match[1] === undefined ? "" : `, and ${port} without it`}`,
        };
      }
    }
  }
  if (usual !== null) return { port: usual.port, why: `that is ${usual.of}'s` };
  return { port: defaultPort, why: "no port was found in its source; instances are told by PORT" };
}

const healthRoute = /["'`](\/(?:api\/)?(?:healthz|health|livez|health\/live|_health|up|readyz|health\/ready))\/?["'`]/;

/** A route that tells whether the app is well, where its source has one. */
export function findHealthRoute(
  folder: Folder,
  files: readonly string[],
): { readonly path: string; readonly why: string } | undefined {
  for (const file of files) {
    for (const [index, line] of (readText(folder, file) ?? "").split("\n").entries()) {
      const path = healthRoute.exec(line)?.[1];
      // A line that asks another for its health is not a route.
      if (path === undefined || /fetch\(|axios|request\(|https?:|curl|wget|^\s*(\/\/|#|\*)/.test(line)) continue;
      return { path, why: `${file} line ${index + 1} answers it` };
    }
  }
  for (const file of folder.files) {
    const route = /^(?:src\/)?(?:app|pages)\/((?:api\/)?(?:healthz?|up))(?:\/route)?\.[jt]s$/.exec(file)?.[1];
    if (route !== undefined) return { path: `/${route}`, why: `${file} answers it` };
  }
  return undefined;
}

/** Where a program listens for this machine alone: nobody outside its instance would reach it. */
export function findLoopbackOnly(folder: Folder, files: readonly string[]): string | undefined {
  for (const file of files) {
    for (const [index, line] of (readText(folder, file) ?? "").split("\n").entries()) {
      const listens =
        /(?:listen|serve|run)\(.*["'`](?:127\.0\.0\.1|localhost)["'`]/.test(line) ||
        /^\s*(?:host|hostname)\s*[:=]\s*["'`](?:127\.0\.0\.1|localhost)["'`]\s*,?\s*$/.test(line) ||
        /(?:HTTPServer|TCPServer)\(\s*\(\s*["'](?:127\.0\.0\.1|localhost)["']/.test(line);
      if (listens) return `${file} line ${index + 1}`;
    }
  }
  return undefined;
}
