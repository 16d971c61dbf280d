import { execFileSync } from "node:child_process";

/**
 * Makes an authority of a test's own in a folder (`ca.crt`), and certificates by it: `NAME.crt` with `NAME.key`.
 *
 * @param certificates subject alternative names by NAME: `IP:127.0.0.1`, `DNS:registry.test`
 */
export function makeCertificates(folder: string, certificates: Readonly<Record<string, string>>): void {
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority of a test");
  for (const [name, names] of Object.entries(certificates)) {
    const by = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", `subjectAltName=${names}`];
    openssl("req", "-x509", ...key, "-keyout", `${name}.key`, "-out", `${name}.crt`, "-subj", `/CN=${name}`, ...by);
  }
}
