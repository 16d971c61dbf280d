import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "../errors/operator-error.ts";

/** What lets us in. None of it is ever printed. */
export type Credential =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** Exchanged for tokens at the registry's token server. */
  | { readonly kind: "identity"; readonly token: string }
  /** Shown as it is. */
  | { readonly kind: "bearer"; readonly token: string };

export interface CredentialPlaces {
  readonly env: { readonly [name: string]: string | undefined };
  readonly home: string;
  readonly signal: AbortSignal;
}

const mostBytes = 2 ** 20;
const helperMs = 60_000;

interface AuthFile {
  readonly auths: { readonly [key: string]: unknown };
  readonly credHelpers: { readonly [host: string]: unknown };
  readonly credsStore: string | undefined;
}

/**
 * The credential for a repository: Docker's file first ($DOCKER_CONFIG/config.json, ~/.docker/config.json: the host's
 * helper, the common helper, the file itself), then Podman's ($REGISTRY_AUTH_FILE, containers/auth.json).
 *
 * @param host as in names: `docker.io`, `registry.example:5000`
 * @returns undefined where none is kept
 * @throws {OperatorError} `REGISTRY_FAILED` for a file or helper that cannot be used
 */
export async function findCredential(
  host: string,
  repository: string,
  places: CredentialPlaces,
): Promise<Credential | undefined> {
  const { env, home } = places;
  const runtime = env["XDG_RUNTIME_DIR"] || `/run/user/${process.getuid?.() ?? 0}`;
  const files = [
    join(env["DOCKER_CONFIG"] || join(home, ".docker"), "config.json"),
    ...(env["REGISTRY_AUTH_FILE"] ? [env["REGISTRY_AUTH_FILE"]] : [join(runtime, "containers/auth.json")]),
    join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "containers/auth.json"),
  ];
  for (const path of files) {
    const file = await readAuthFile(path);
    if (file === undefined) continue;
    const found = await fromFile(file, path, host, repository, places);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function fromFile(
  file: AuthFile,
  path: string,
  host: string,
  repository: string,
  places: CredentialPlaces,
): Promise<Credential | undefined> {
  const server = host === "docker.io" ? "https://index.docker.io/v1/" : host;
  const own = file.credHelpers[host];
  const helper = typeof own === "string" ? own : file.credsStore;
  if (helper !== undefined && helper !== "") {
    const found = await askHelper(helper, server, places);
    if (found !== undefined) return found;
  }
  // Podman's keys may name a repository or what it is in: the most exact one counts.
  const keys = [
    server,
    host,
    `https://${host}`,
    `http://${host}`,
    ...(host === "docker.io" ? ["index.docker.io"] : []),
  ];
  const parts = repository.split("/");
  const exact = parts.map((_, index) => `${host}/${parts.slice(0, parts.length - index).join("/")}`);
  for (const key of [...exact, ...keys]) {
    const entry = Object.entries(file.auths).find(([name]) => name === key || serverOf(name) === key)?.[1];
    const found = parseEntry(entry, path, key);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Docker writes keys with and without scheme and path. */
function serverOf(key: string): string {
  return key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
}

function parseEntry(entry: unknown, path: string, key: string): Credential | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  const { auth, username, password, identitytoken, registrytoken } = entry as Record<string, unknown>;
  if (typeof registrytoken === "string" && registrytoken !== "") return { kind: "bearer", token: registrytoken };
  if (typeof identitytoken === "string" && identitytoken !== "") return { kind: "identity", token: identitytoken };
  if (typeof auth === "string" && auth !== "") {
    const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
    const colon = text.indexOf(":");
    if (colon < 1) throw unusable(path, `its entry for ${key} is not USER:PASSWORD in base64`);
    return { kind: "password", user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  if (typeof username === "string" && typeof password === "string" && username !== "")
    return { kind: "password", user: username, password };
  return undefined;
}

async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string;
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await file.stat();
      if (!stats.isFile() || stats.size > mostBytes) throw unusable(path, "it is no file of a sensible size");
      text = await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw cause instanceof OperatorError ? cause : unusable(path, "the machine does not let it be read");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says may quote the file.
    throw unusable(path, "it is no JSON");
  }
  const { auths, credHelpers, credsStore } = record(value);
  return {
    auths: record(auths),
    credHelpers: record(credHelpers),
    credsStore: typeof credsStore === "string" ? credsStore : undefined,
  };
}

/** Asks a helper as Docker does: the server's name on its standard input. @see docker/docker-credential-helpers */
function askHelper(name: string, server: string, { env, signal }: CredentialPlaces): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (state: string): OperatorError =>
    new OperatorError("REGISTRY_FAILED", `Cannot ask ${program} for the credential of ${server}: ${state}`, {
      hint: "see that it works by itself, or log in again with docker login",
    });
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return Promise.reject(failed("that is no helper's name"));
  return new Promise((resolve, reject) => {
    // A group of its own: what it starts ends with it.
    const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"], env: { ...env }, detached: true });
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    };
    const timer = setTimeout(end, helperMs);
    signal.addEventListener("abort", end, { once: true });
    child.once("close", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    });
    const pieces: Buffer[] = [];
    let size = 0;
    child.stdin.on("error", () => undefined);
    child.stdin.end(server);
    child.stdout.on("data", (piece: Buffer) => {
      size += piece.byteLength;
      if (size > 65_536) end();
      else pieces.push(piece);
    });
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? failed("it is not installed") : failed(error.message)),
    );
    child.once("close", (status) => {
      const answer = Buffer.concat(pieces).toString("utf8");
      // The one thing a helper says in words that is no failure.
      if (status !== 0 && /credentials not found/i.test(answer)) return resolve(undefined);
      if (status !== 0) return reject(failed(status === null ? "it was ended" : `it ended with status ${status}`));
      try {
        const { Username, Secret } = record(JSON.parse(answer));
        if (typeof Secret !== "string" || typeof Username !== "string" || Secret === "") return resolve(undefined);
        resolve(
          Username === "<token>"
            ? { kind: "identity", token: Secret }
            : { kind: "password", user: Username, password: Secret },
        );
      } catch {
        reject(failed("its answer is no JSON"));
      }
    });
  });
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function unusable(path: string, state: string): OperatorError {
  return new OperatorError("REGISTRY_FAILED", `Cannot use the credentials in "${path}": ${state}`, {
    hint: "mend the file, or write it anew with docker login",
  });
}
