import { execFileSync } from "node:child_process";
import { copyFileSync, linkSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { defaultLoad, type LoadConfig } from "../../src/load/protocol.ts";
import type { Site } from "./bronze.ts";

const demoApp = join(import.meta.dirname, "../../examples/demo-app");

/**
 * Makes the demo app the site's app, on the Node that runs this test: no package is fetched. The runtime is a layer of
 * its own, so a new version of the app is a small one.
 */
export function writeNodeApp(site: Site, version: string): void {
  writeRuntime(join(site.project, "runtime"));
  const files = Object.fromEntries(
    ["server.js", "package.json"].map((name) => [`app/${name}`, readFileSync(join(demoApp, name), "utf8")]),
  );
  site.write({
    ...files,
    "app/behaviour.js": [
      `export const version = "${version}";`,
      'export const greeting = "Hello.";',
      "export const healthy = () => true;",
      "export const mayAnswer = () => true;",
      "",
    ].join("\n"),
    Dockerfile: [
      "FROM scratch",
      "COPY runtime/ /",
      "COPY app/ /app/",
      "WORKDIR /app",
      "USER 65532:65532",
      'CMD ["/bin/node", "--max-old-space-size=64", "server.js"]',
      "",
    ].join("\n"),
  });
}

/** Load of every kind on such an app, light enough to go on beside much else. */
export function nodeAppLoad(url: string): LoadConfig {
  const { hostname, port } = new URL(url);
  return {
    ...defaultLoad,
    host: hostname,
    port: Number(port || 80),
    hostHeader: "shop.example",
    clients: { "keep-alive": 4, "new connection": 2, "slow response": 2, upload: 2, stream: 1, websocket: 1 },
    pauseMs: { "keep-alive": 20, "new connection": 20, upload: 40 },
    lastingMs: 1_000,
    uploadBytes: 20_000,
    // A machine that does much else may take its time: what counts is that the answer comes.
    timeoutMs: 20_000,
  };
}

/** Node and the libraries it is linked to. */
export function writeRuntime(folder: string): void {
  const node = realpathSync(process.execPath);
  const target = join(folder, "bin/node");
  mkdirSync(dirname(target), { recursive: true });
  try {
    linkSync(node, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "EXDEV") throw error;
    copyFileSync(node, target);
  }
  for (const [, library = ""] of execFileSync("ldd", [node], { encoding: "utf8" }).matchAll(/(\/\S+\.so\S*) \(/g)) {
    mkdirSync(dirname(join(folder, library)), { recursive: true });
    copyFileSync(library, join(folder, library));
  }
}
