import type { Readable } from "node:stream";
import { OperatorError } from "../errors/operator-error.ts";
import { printableLine } from "../errors/redact.ts";
import { parseChallenge, type Challenge } from "./challenge.ts";
import { findCredential, type Credential, type CredentialPlaces } from "./credentials.ts";
import { dropBody, exchange, readBody, type HttpAnswer, type HttpRequest } from "./http.ts";
import { Passing, registryFailed } from "./refusals.ts";
import { retryAfterMs, withRetries } from "./retry.ts";
import { basic, fetchToken, type Token } from "./tokens.ts";
import { isLoopback, type Agents } from "./trust.ts";

export interface SessionOptions extends Omit<CredentialPlaces, "signal"> {
  readonly agents: Agents;
  /** True: this registry may be asked without TLS. Those of this machine may in any case. */
  readonly plainHttp: boolean;
  readonly firstWaitMs: number;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

export interface Ask {
  readonly method: HttpRequest["method"];
  /** A path on the registry, or an address that it gave. */
  readonly to: string | URL;
  readonly headers?: { readonly [name: string]: string };
  /** Made anew for each try. */
  readonly body?: () => Uint8Array | Readable;
  /** Statuses the caller knows what to do with. */
  readonly expected: readonly number[];
  /** What is being done, to follow "Cannot". */
  readonly action: string;
}

/** One repository of one registry, with what lets us in. */
export interface Session {
  readonly host: string;
  /** Asks once; redirects are followed for GET and HEAD. @throws {Passing}, {OperatorError} */
  ask(ask: Ask): Promise<HttpAnswer>;
  /** The same, tried again where that may help. @throws {OperatorError} */
  insist(ask: Ask): Promise<HttpAnswer>;
  /** Does something with several questions until it works. @throws {OperatorError} */
  retry<Result>(action: string, attempt: (gotFurther: () => void) => Promise<Result>): Promise<Result>;
  /** Where a `Location` of an answer leads. @throws {OperatorError} for one that leaves TLS */
  address(location: string | undefined, action: string): URL;
  /** The same session for work that may end earlier. */
  until(signal: AbortSignal): Session;
  /** A whole small body. @throws {OperatorError} `VERIFICATION_FAILED` beyond `most` bytes, {Passing} */
  read(answer: HttpAnswer, most: number, what: string): Promise<Buffer>;
}

const mostRedirects = 5;
/** What OpenSSL and the kernel say of a server that speaks plain HTTP. */
const notTls: ReadonlySet<string> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "EPROTO",
  "ECONNRESET",
]);
const passing: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * @param repository whose content is wanted
 * @param more scopes besides reading it, `repository:NAME:pull,push`
 */
export function createSession(
  host: string,
  repository: string,
  more: readonly string[],
  options: SessionOptions,
): Session {
  const { agents, patienceMs, signal: whole } = options;
  const apiHost = host === "docker.io" ? "registry-1.docker.io" : host;
  const scopes = more.length > 0 ? more : [`repository:${repository}:pull`];
  const secrets = new Set<string>();
  let base: Promise<URL> | undefined;
  let root: URL | undefined;
  let challenge: Challenge | undefined;
  let credential: Promise<Credential | undefined> | undefined;
  let token: Promise<Token> | undefined;

  /** Finds out whether the registry speaks TLS, and how it wants to be asked. */
  const connect = async (): Promise<URL> => {
    const mayBePlain = options.plainHttp || isLoopback(new URL(`https://${apiHost}`).hostname);
    const ping = async (scheme: string): Promise<URL> => {
      const url = new URL(`${scheme}//${apiHost}/v2/`);
      const answer = await exchange(url, {
        method: "GET",
        headers: headersFor({}),
        agent: agents.for(url),
        patienceMs,
        signal: whole,
      });
      dropBody(answer);
      if (passing.has(answer.status))
        throw new Passing(`it answered ${answer.status}`, retryAfterMs(answer.headers["retry-after"]));
      const asked = parseChallenge(answer.headers["www-authenticate"]);
      // What some registries name here is an example, and no repository of theirs.
      challenge = asked?.kind === "bearer" ? { ...asked, scope: "" } : asked;
      return (root = url);
    };
    try {
      return await ping("https:");
    } catch (error) {
      // Only what is no TLS at all: a certificate that is not trusted stays a refusal.
      const code = codeOf(error instanceof Passing ? error.cause : error);
      // Without a port the two have one each, 443 and 80.
      const isElsewhere = code === "ECONNREFUSED" && !/:[0-9]+$/.test(apiHost);
      if (mayBePlain && (notTls.has(code) || isElsewhere)) return ping("http:");
      // Nobody there, or not to be trusted: that does not change while one waits.
      const isLasting = /^(ENOTFOUND|ECONNREFUSED|EPROTO|ERR_SSL_)/.test(code) || isDistrust(code);
      throw isLasting && error instanceof Passing ? new Passing(error.message, Infinity, error.cause) : error;
    }
  };

  const secret = (text: string): string => {
    secrets.add(text);
    return text;
  };

  const authorization = async (scheme: URL["protocol"]): Promise<string | undefined> => {
    if (challenge === undefined) return undefined;
    const found = await (credential ??= findCredential(host, repository, options));
    if (found?.kind === "password") secret(found.password);
    else if (found !== undefined) secret(found.token);
    if (found?.kind === "bearer") return `Bearer ${found.token}`;
    if (challenge.kind === "basic")
      return found?.kind === "password" ? `Basic ${secret(basic(found).slice(6))}` : undefined;
    // Requests at the same time wait for the same token; one that could not be had is asked for anew.
    if (token === undefined || ((await token.catch(() => undefined))?.expiresAtMs ?? 0) < performance.now()) {
      const isOurs = (scope: string): boolean => scopes.some((own) => own.startsWith(scope.replace(/[^:]*$/, "")));
      const wanted = [...scopes, ...challenge.scope.split(" ").filter((scope) => scope !== "" && !isOurs(scope))];
      token = fetchToken({
        host,
        scheme: scheme === "http:" ? "http:" : "https:",
        challenge,
        scopes: wanted,
        credential: found,
        agents,
        patienceMs,
        signal: whole,
      });
    }
    return `Bearer ${secret((await token).value)}`;
  };

  const redact = (text: string): string => {
    let clean = text;
    for (const one of secrets) if (one.length > 3) clean = clean.replaceAll(one, "[redacted]");
    return printableLine(clean).slice(0, 500);
  };

  const until = (signal: AbortSignal): Session => {
    const asFailure = (action: string, error: unknown): unknown => {
      signal.throwIfAborted();
      if (!(error instanceof Passing)) return error;
      const code = codeOf(error.cause);
      const isTrust = typeof code === "string" && /CERT|SIGNATURE|SELF_SIGNED|ISSUER/.test(code);
      const hint = isTrust
        ? `put the certificate of its authority into /etc/docker/certs.d/${host}/ca.crt, or name it with NODE_EXTRA_CA_CERTS`
        : /^(EPROTO|ERR_SSL_)/.test(code)
          ? "it does not speak TLS; --plain-http asks it without, where the network between is trusted"
          : undefined;
      return registryFailed(host, action, redact(error.message), hint);
    };

    /** What the registry says about its refusal. @see OCI distribution specification, "Error Codes" */
    const refusal = async (answer: HttpAnswer, { action }: Ask): Promise<Error> => {
      const { status, headers } = answer;
      const words = await readBody(answer, 16_384, signal).then(wordsOf, () => "");
      const cause = redact(`it answered ${status}${words === "" ? "" : `: ${words}`}`);
      if (passing.has(status)) return new Passing(cause, retryAfterMs(headers["retry-after"]));
      if (status === 404)
        return new OperatorError("NOT_FOUND", `Cannot ${action}: the registry ${host} has no such image`, {
          hint: "check name and tag",
          cause,
        });
      if (status !== 401 && status !== 403) return registryFailed(host, action, cause);
      const known = (await credential?.catch(() => undefined)) !== undefined;
      const hint = known
        ? `the credential kept for ${host} does not allow it, or there is no such image; log in again with docker login ${host}`
        : `there is no such image, or it is for those who are logged in: docker login ${host}`;
      return registryFailed(host, action, cause, hint);
    };

    const ask = async (request: Ask): Promise<HttpAnswer> => {
      // One that could not be reached is tried anew the next time.
      const from = await (base ??= connect().catch((error: unknown) => {
        base = undefined;
        throw error;
      }));
      let url = new URL(request.to, from);
      let renewed = false;
      for (let redirects = 0; redirects <= mostRedirects;) {
        const isOwn = url.host === from.host && url.protocol === from.protocol;
        const allowed = isOwn ? await authorization(from.protocol) : undefined;
        const answer = await exchange(url, {
          method: request.method,
          headers: headersFor({ ...request.headers, ...(allowed === undefined ? {} : { authorization: allowed }) }),
          agent: agents.for(url),
          // A registry may look at what was uploaded for some time before it answers.
          patienceMs: /^(GET|HEAD)$/.test(request.method) ? patienceMs : 5 * patienceMs,
          signal,
          ...(request.body === undefined ? {} : { body: request.body() }),
        });
        const { status, headers } = answer;
        if (request.expected.includes(status)) return answer;
        if (status === 401 && isOwn && !renewed) {
          renewed = true;
          const now = parseChallenge(headers["www-authenticate"]);
          if (now !== undefined) {
            challenge = now;
            token = undefined;
            dropBody(answer);
            continue;
          }
        }
        const location = headers.location;
        if (
          [301, 302, 303, 307, 308].includes(status) &&
          location !== undefined &&
          /^(GET|HEAD)$/.test(request.method)
        ) {
          dropBody(answer);
          const next = URL.parse(location, url);
          const isPlain = next?.protocol === "http:" && url.protocol === "http:";
          if (next === null || (next.protocol !== "https:" && !isPlain))
            throw registryFailed(host, request.action, "it redirects to what is no https address");
          url = next;
          redirects += 1;
          continue;
        }
        throw await refusal(answer, request);
      }
      throw registryFailed(
        host,
        request.action,
        `it redirects more than ${mostRedirects} times`,
        "tell those who run it",
      );
    };

    const retry: Session["retry"] = async (action, attempt) => {
      try {
        return await withRetries({ signal, firstWaitMs: options.firstWaitMs }, attempt);
      } catch (error) {
        throw asFailure(action, error);
      }
    };

    return {
      host,
      ask,
      until,
      address(location, action) {
        const url = location === undefined ? null : URL.parse(location, root);
        if (url === null || root === undefined) throw registryFailed(host, action, "it does not say where to send it");
        // Registries behind a proxy that ends TLS may not know of it.
        if (root.protocol === "https:" && url.hostname === root.hostname) url.protocol = "https:";
        if (url.protocol !== root.protocol && url.protocol !== "https:")
          throw registryFailed(host, action, "it sends us to what is no https address");
        return url;
      },
      insist: (request) => retry(request.action, () => ask(request)),
      retry,
      async read(answer, most, what) {
        try {
          return await readBody(answer, most, signal);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          throw new OperatorError("VERIFICATION_FAILED", `Cannot take ${what} from ${host}: it has ${error.message}`, {
            hint: "no genuine registry sends that",
          });
        }
      },
    };
  };
  return until(whole);
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : "";
}

/** What OpenSSL and Node call a certificate that does not prove who is there. */
function isDistrust(code: string): boolean {
  return /CERT|SIGNATURE|SELF_SIGNED|ISSUER/.test(code);
}

function headersFor(headers: { readonly [name: string]: string }): { readonly [name: string]: string } {
  // Compressed by the way it would not be the bytes that its digest names.
  return { "user-agent": "bronze", "accept-encoding": "identity", ...headers };
}

function wordsOf(body: Buffer): string {
  try {
    const { errors } = JSON.parse(body.toString("utf8")) as { errors?: unknown };
    const list = Array.isArray(errors) ? (errors as { code?: unknown; message?: unknown }[]) : [];
    return list
      .slice(0, 3)
      .map(({ code, message }) => [code, message].filter((word) => typeof word === "string" && word !== "").join(" "))
      .join("; ");
  } catch {
    return "";
  }
}
