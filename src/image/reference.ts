import { OperatorError } from "../errors/operator-error.ts";
import { isDigest, type Digest } from "../model/canonical.ts";

/** `HOST[:PORT]/NAME[:TAG][@DIGEST]`, with Docker's defaults filled in. */
export interface ImageReference {
  /** `docker.io`, `registry.example:5000`, `127.0.0.1:5000`, `[::1]:5000`. */
  readonly host: string;
  /** `library/debian`. */
  readonly repository: string;
  /** `latest` where neither a tag nor a digest was written. */
  readonly tag: string | null;
  readonly digest: Digest | null;
}

const dockerHub = "docker.io";
const hostPattern =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const partPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/**
 * Reads an image's name as Docker does: `debian` is `docker.io/library/debian:latest`, a first part with a dot or a
 * colon, or `localhost`, is a registry.
 *
 * @throws {OperatorError} `ARGUMENT_INVALID`
 * @see distribution/reference, "Grammar"
 */
export function parseReference(text: string): ImageReference {
  const reference = readReference(text);
  if (typeof reference !== "string") return reference;
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 200)}" as an image's name: ${reference}`, {
    hint: "names look like node:22, ghcr.io/team/shop:v1 or registry.example:5000/shop@sha256:…",
  });
}

/** The same, or what is wrong with the name. */
export function readReference(text: string): ImageReference | string {
  if (text.length > 500) return "it is too long";
  const at = text.indexOf("@");
  const named = at < 0 ? text : text.slice(0, at);
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null && !isDigest(digest)) return "after @ comes sha256: and 64 lower-case hex digits";
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : digest === null ? "latest" : null;
  if (tag !== null && !tagPattern.test(tag)) return `"${tag.slice(0, 130)}" is no tag`;
  const name = hasTag ? named.slice(0, colon) : named;
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = first.toLowerCase() === "localhost" || /[.:]/.test(first);
  if (isHost && !isHostName(first.toLowerCase())) return `"${first}" is no host`;
  const host = isHost && first !== "index.docker.io" ? first.toLowerCase() : dockerHub;
  const path = isHost ? name.slice(slash + 1) : name;
  if (path === "") return "it has no name";
  if (/[A-Z]/.test(path)) return "names are lower-case";
  if (name.length > 255 || !path.split("/").every((part) => partPattern.test(part)))
    return "names are lower-case letters and digits, with single . _ - between them, and / between parts";
  return { host, repository: host === dockerHub && !path.includes("/") ? `library/${path}` : path, tag, digest };
}

/** Also not `0x7f.1` or `1.2.3.999`: what an address would take for another one, or for none. */
function isHostName(host: string): boolean {
  const hostname = host.replace(/:[0-9]+$/, "");
  return hostPattern.test(host) && URL.parse(`https://${host}/`)?.hostname === hostname;
}

/** The name in full, `docker.io/library/node:22`; the same for every way of writing it. */
export function fullName({ host, repository, tag, digest }: ImageReference): string {
  return `${host}/${repository}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
}

/** The name as short as Docker writes it, without a digest: `node:22`, `ghcr.io/team/shop:v1`. */
export function shortName({ host, repository, tag }: ImageReference): string {
  const path = host !== dockerHub ? `${host}/${repository}` : repository.replace(/^library\/([^/]+)$/, "$1");
  return tag === null ? path : `${path}:${tag}`;
}

/** Under what name the store knows it; null: it has no tag. */
export function storeName(reference: ImageReference): string | null {
  return reference.tag === null ? null : shortName(reference);
}

/**
 * A platform as OCI writes it, `linux/amd64` or `linux/arm/v7`; variants that every such processor has are left out.
 *
 * @see containerd, platforms, "Normalization"
 */
export function platformName(os: string, architecture: string, variant = ""): string {
  const plain = (architecture === "arm64" && variant === "v8") || (architecture === "amd64" && variant === "v1");
  return [os, architecture, ...(plain || variant === "" ? [] : [variant])].join("/");
}

/** @throws {OperatorError} `ARGUMENT_INVALID` when it is not `OS/ARCHITECTURE[/VARIANT]` */
export function parsePlatform(text: string): string {
  const match = /^([a-z0-9]{1,20})\/([a-z0-9_]{1,20})(?:\/([a-z0-9.]{1,20}))?$/.exec(text);
  if (match !== null) {
    const [, os = "", architecture = "", variant = ""] = match;
    const known: { readonly [name: string]: string } = { x86_64: "amd64", aarch64: "arm64" };
    return platformName(os, known[architecture] ?? architecture, variant);
  }
  throw new OperatorError("ARGUMENT_INVALID", `Cannot use "${text.slice(0, 80)}" as a platform`, {
    hint: "platforms look like linux/amd64, linux/arm64 or linux/arm/v7",
  });
}
