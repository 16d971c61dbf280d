import type { ImageReference } from "../image/reference.ts";
import type { Registry } from "../ports/registry.ts";
import { pullImage } from "./pull.ts";
import { pushImage } from "./push.ts";
import { pullReferrers } from "./referrers.ts";
import { resolveImage } from "./resolve.ts";
import { createSession, type Session } from "./session.ts";
import { certificateFolders, createAgents } from "./trust.ts";

export interface RegistrySettings {
  /** Folder of begun downloads; it may be deleted at any time. */
  readonly folder: string;
  /** Proxies, and where credentials are. */
  readonly env: { readonly [name: string]: string | undefined };
  readonly home: string;
  /** True: registries may be asked without TLS. Those of this machine may in any case. */
  readonly plainHttp?: boolean;
  /** Folders with certificates by host; default: Docker's and Podman's. */
  readonly certificates?: readonly string[];
  /** How long a connection may bring nothing, in ms; default a minute. */
  readonly patienceMs?: number;
  /** Wait before the second try, in ms; it grows threefold, four times. */
  readonly firstWaitMs?: number;
}

/** Registries of images as this machine is set up to reach them. */
export function createRegistry(settings: RegistrySettings): Registry {
  const { env, home, folder } = settings;
  const agents = createAgents({ env, certificates: settings.certificates ?? certificateFolders });
  const sessionFor = (reference: ImageReference, scopes: readonly string[], signal: AbortSignal): Session =>
    createSession(reference.host, reference.repository, scopes, {
      agents,
      env,
      home,
      signal,
      plainHttp: settings.plainHttp === true,
      firstWaitMs: settings.firstWaitMs ?? 500,
      patienceMs: settings.patienceMs ?? 60_000,
    });
  return {
    resolve: (reference, signal) => resolveImage(sessionFor(reference, [], signal), reference),
    pull: (reference, digest, blobs, options) =>
      pullImage(sessionFor(reference, [], options.signal), reference, digest, blobs, { ...options, folder }),
    pullReferrers: (reference, subject, store, options) =>
      pullReferrers(sessionFor(reference, [], options.signal), reference, subject, store, { ...options, folder }),
    async push(digest, reference, blobs, options) {
      const others = new Set(options.alsoIn?.values());
      const scopes = [
        `repository:${reference.repository}:pull,push`,
        ...[...others].map((name) => `repository:${name}:pull`),
      ];
      await pushImage(sessionFor(reference, scopes, options.signal), digest, reference, blobs, options);
    },
  };
}
