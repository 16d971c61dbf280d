import { chmodSync, copyFileSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { needs } from "../lib/packages.ts";

const server = "trap 'kill $!; exit 0' TERM; /bin/busybox httpd -f -p 8080 -h /www & wait $!";
const later = "rm /gone; rm -r /opaque; mkdir /opaque; echo new >/opaque/new; chmod 2750 /opaque; ln /hard/a /hard/c";

/** Instructions that Docker, buildah and Bronze know alike. */
export const dockerfile = [
  "FROM scratch",
  "COPY root/ /",
  "COPY --chown=1234:5678 root/www /own",
  `RUN ${JSON.stringify(["/bin/busybox", "sh", "-c", later])}`,
  "EXPOSE 8080",
  `CMD ${JSON.stringify(["/bin/busybox", "sh", "-c", server])}`,
  "",
].join("\n");

/** A project whose image has about everything that archives carry differently. */
export function writeProject(folder: string): void {
  const root = join(folder, "root");
  const write = (path: string, content: string | Buffer, mode = 0o644): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    chmodSync(join(root, path), mode);
  };
  const noise = Buffer.concat(Array.from({ length: 9000 }, (_, i) => createHash("sha256").update(String(i)).digest()));
  write("bin/placeholder", "");
  copyFileSync(needs.busybox.path, join(root, "bin/busybox"));
  chmodSync(join(root, "bin/busybox"), 0o755);
  symlinkSync("busybox", join(root, "bin/sh"));
  write("www/index.html", "interop\n");
  write("etc/app.conf", "a=b\n", 0o600);
  write("data/noise", noise);
  write("data/zeros", Buffer.alloc(1_000_000));
  write("data/empty", "");
  write("modes/setuid", "x", 0o4755);
  write("modes/setgid", "x", 0o2755);
  write("modes/none", "x", 0o000);
  write("gone", "x");
  write("opaque/old", "x");
  write("hard/a", "linked\n");
  linkSync(join(root, "hard/a"), join(root, "hard/b"));
  symlinkSync("/nowhere/at/all", join(root, "dangling"));
  symlinkSync("l".repeat(150), join(root, "long-target"));
  write(`long/${"d".repeat(120)}/${"e".repeat(120)}/${"f".repeat(120)}`, "deep\n");
  write("names/späce and ünïcode", "u\n");
  write("names/new\nline", "n\n");
  mkdirSync(join(root, "emptied/inner"), { recursive: true });
  chmodSync(join(root, "emptied"), 0o1777);
  utimesSync(join(root, "data/noise"), 1_000_000_000, 1_000_000_000);
  writeFileSync(join(folder, "Dockerfile"), dockerfile);
  writeFileSync(join(folder, "bronze.yaml"), "app: interop\nbuild: { dockerfile: Dockerfile }\nrun: { port: 8080 }\n");
}
