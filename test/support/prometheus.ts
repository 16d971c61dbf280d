import { spawn } from "node:child_process";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { eventually, get } from "./bronze.ts";

/** Debian's Prometheus with what a test gives it to measure. */
export interface Prometheus {
  readonly url: string;
  /** Gauges in its text format from now on; resolves when a query would see them. */
  expose(text: string): Promise<void>;
}

/**
 * Unpacks Debian's package beside the system, which would otherwise run a service of it, and starts it on a free port;
 * ended and removed when the test ends.
 */
export async function startPrometheus(t: Pick<TestContext, "after">): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "bz-prometheus-"));
  // apt-get downloads as its own user.
  chmodSync(folder, 0o777);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  download(folder);
  const [archive = ""] = readdirSync(folder).filter((name) => name.endsWith(".deb"));
  execFileSync("dpkg-deb", ["-x", archive, "unpacked"], { cwd: folder });

  let exposed = "";
  let round = 0;
  const exporter = createServer((_, response) => response.end(`${exposed}\nbronze_round ${round}\n`));
  await new Promise<void>((resolve) => exporter.listen(0, "127.0.0.1", resolve));
  t.after(() => (exporter.closeAllConnections(), exporter.close()));
  const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  const jobs = `scrape_configs: [{ job_name: test, static_configs: [{ targets: ["${target}"] }] }]`;
  writeFileSync(join(folder, "prometheus.yml"), `global: { scrape_interval: 300ms, scrape_timeout: 300ms }\n${jobs}\n`);

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    join(folder, "unpacked/usr/bin/prometheus"),
    [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ],
    { stdio: "ignore", cwd: folder },
  );
  t.after(
    () =>
      new Promise<void>((resolve) => {
        if (child.exitCode !== null) return resolve();
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }),
  );
  await eventually("Prometheus is ready", () =>
    get(`${url}/-/ready`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  return {
    url,
    async expose(text) {
      exposed = text;
      round += 1;
      const wanted = round;
      await eventually("Prometheus has seen it", async () => {
        const { body } = await get(`${url}/api/v1/query?query=bronze_round`);
        return body.includes(`"${wanted}"`);
      });
    },
  };
}

function download(folder: string): void {
  const get = (): void =>
    void execFileSync("apt-get", ["download", "-q", "prometheus"], { cwd: folder, stdio: "pipe" });
  try {
    get();
  } catch {
    // The lists of packages are old or absent.
    execFileSync("apt-get", ["update", "-q"], { stdio: "pipe" });
    get();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
