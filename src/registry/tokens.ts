import { parseObject } from "../image/oci.ts";
import type { Challenge } from "./challenge.ts";
import type { Credential } from "./credentials.ts";
import { dropBody, exchange, readBody } from "./http.ts";
import { Passing, registryFailed } from "./refusals.ts";
import { retryAfterMs } from "./retry.ts";
import { isLoopback, type Agents } from "./trust.ts";

export interface TokenRequest {
  readonly host: string;
  /** Of the registry itself: over TLS nothing secret goes anywhere without TLS. */
  readonly scheme: "https:" | "http:";
  readonly challenge: Extract<Challenge, { kind: "bearer" }>;
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly agents: Agents;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

export interface Token {
  readonly value: string;
  /** By this process's monotonic clock, in ms. */
  readonly expiresAtMs: number;
}

const mostBytes = 2 ** 20;
const shortestLifeMs = 60_000;

/**
 * A token for what is wanted, from the server that the registry names.
 *
 * @throws {OperatorError} `REGISTRY_FAILED` when it refuses; {Passing}
 * @see distribution, "Token Authentication Specification" and "OAuth2 Token Authentication"
 */
export async function fetchToken(request: TokenRequest): Promise<Token> {
  const { host, scheme, challenge, scopes, credential, agents, patienceMs, signal } = request;
  const realm = URL.parse(challenge.realm);
  const isPlain = realm?.protocol === "http:" && scheme === "http:" && isLoopback(realm.hostname);
  if (realm === null || (realm.protocol !== "https:" && !isPlain))
    throw registryFailed(
      host,
      "log in",
      `it sends us for a token to ${challenge.realm.slice(0, 200)}, which is no https address`,
    );
  const parameters = new URLSearchParams();
  if (challenge.service !== "") parameters.set("service", challenge.service);
  let headers: { readonly [name: string]: string } = { accept: "application/json" };
  let body: Buffer | undefined;
  if (credential?.kind === "identity") {
    parameters.set("grant_type", "refresh_token");
    parameters.set("client_id", "bronze");
    parameters.set("scope", scopes.join(" "));
    parameters.set("refresh_token", credential.token);
    body = Buffer.from(parameters.toString());
    headers = {
      ...headers,
      "content-type": "application/x-www-form-urlencoded",
      "content-length": String(body.byteLength),
    };
  } else {
    for (const scope of scopes) parameters.append("scope", scope);
    for (const [name, value] of parameters) realm.searchParams.append(name, value);
    if (credential?.kind === "password") headers = { ...headers, authorization: basic(credential) };
  }
  const method = body === undefined ? "GET" : "POST";
  const answer = await exchange(realm, {
    method,
    headers,
    agent: agents.for(realm),
    patienceMs,
    signal,
    ...(body === undefined ? {} : { body }),
  });
  const { status } = answer;
  if (status === 429 || status >= 500) {
    dropBody(answer);
    throw new Passing(`the token server ${realm.host} answered ${status}`, retryAfterMs(answer.headers["retry-after"]));
  }
  if (status !== 200) {
    dropBody(answer);
    const hint =
      credential === undefined ? `log in with docker login ${host}` : `log in again with docker login ${host}`;
    throw registryFailed(host, "log in", `the token server ${realm.host} answered ${status}`, hint);
  }
  const { token, access_token, expires_in } = parseObject(await readBody(answer, mostBytes, signal), "token");
  const value = typeof token === "string" && token !== "" ? token : access_token;
  if (typeof value !== "string" || !/^[\u0021-\u007e]{1,65536}$/.test(value))
    throw registryFailed(host, "log in", `the token server ${realm.host} gave no token`);
  const lifeMs = typeof expires_in === "number" && expires_in > 0 ? expires_in * 1000 : shortestLifeMs;
  // A tenth less, for the way there.
  return { value, expiresAtMs: performance.now() + Math.max(lifeMs, shortestLifeMs) * 0.9 };
}

export function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
