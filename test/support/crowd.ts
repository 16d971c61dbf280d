import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { StatusReport } from "../../src/model/api/status.ts";
import { dockerfile, server, type Site } from "./bronze.ts";

/** How many commands are under way at the same time. */
const atOnce = 6;

/** Many apps in one state folder, each with a content of its own, on a host name of its own. */
export interface Crowd {
  /** Where the router takes requests. */
  readonly url: string;
  readonly apps: readonly string[];
}

/** The host name an app answers on. */
export const hostOf = (app: string): string => `${app}.example`;

/** Makes the project of an app whose answer is its name and a version; returns the folder. */
export function writeApp(site: Site, app: string, instances: number, version = "1"): string {
  const folder = join(dirname(site.project), "crowd", app);
  mkdirSync(join(folder, "root/bin"), { recursive: true });
  mkdirSync(join(folder, "root/www"), { recursive: true });
  copyFileSync(join(site.project, "root/bin/busybox"), join(folder, "root/bin/busybox"));
  chmodSync(join(folder, "root/bin/busybox"), 0o755);
  writeFileSync(join(folder, "root/www/index.html"), `${app} ${version}\n`);
  writeFileSync(join(folder, "Dockerfile"), dockerfile(server));
  writeFileSync(
    join(folder, "bronze.yaml"),
    `app: ${app}
route: { host: ${hostOf(app)}, path: / }
build: { dockerfile: Dockerfile }
run: { port: 8080 }
environments:
  production: { instances: ${instances}, rollback: { watch: 0s } }
`,
  );
  return folder;
}

/** Brings up many apps by the command; the first alone, as it starts the daemon. @throws when one fails */
export async function upCrowd(site: Site, count: number, instances: number): Promise<Crowd> {
  const apps = Array.from({ length: count }, (_, i) => `app${i + 1}`);
  const [first, ...rest] = apps;
  if (first === undefined) throw new RangeError("a crowd of none");
  await up(site, writeApp(site, first, instances), ["--http-port", "0"]);
  await eachOf(rest, (app) => up(site, writeApp(site, app, instances)));
  const { url } = (await site.json<StatusReport>(["status"])).daemon;
  return { url, apps };
}

/** Does something for each, several at once. */
export async function eachOf<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** `bronze up` in an app's folder. @throws when it fails */
export async function up(site: Site, folder: string, args: readonly string[] = []): Promise<void> {
  const { status, stdout, stderr } = await site.bronze(["up", ...args], { cwd: folder });
  if (status !== 0) throw new Error(`bronze up in ${folder} exited ${status}: ${stderr}${stdout}`);
}
