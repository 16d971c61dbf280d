import type { FastifyInstance } from "fastify";
import type { Controller } from "../controller/controller.ts";
import { removeSecret, revokeSecret, secretRows, setSecret, type SecretOutcome } from "../controller/secrets.ts";
import { knownEnvironment } from "../controller/known.ts";
import { checkKept } from "../controller/secret-values.ts";
import type { Ping } from "../model/api/asked.ts";
import type {
  PassphraseRequest,
  SecretCheckRequest,
  SecretRemoveRequest,
  SecretResult,
  SecretRevokeRequest,
  SecretSetRequest,
  SecretsLock,
  SecretsReport,
} from "../model/api/secrets.ts";
import { deployResult } from "./deploy-result.ts";
import { withProgress, type Filter } from "./progress.ts";
import {
  oneEnvironmentSchema,
  parseWith,
  passphraseSchema,
  secretCheckSchema,
  secretRemoveSchema,
  secretRevokeSchema,
  secretSetSchema,
} from "./schemas.ts";
import { streamWork } from "./stream.ts";

/** The routes about secrets. No answer holds a value, or anything that is made of one. */
export function addSecretRoutes(
  app: FastifyInstance,
  { controller, ping }: { readonly controller: Controller; readonly ping: () => Ping },
): void {
  const { secrets } = controller.ports;
  const change = <Body extends Filter>(
    action: string,
    parse: (body: unknown) => Body,
    work: (controller: Controller, body: Body) => Promise<SecretOutcome>,
  ): void => {
    app.post(`/v1/secret/${action}`, async (request, reply) => {
      const body = parse(request.body);
      await streamWork(reply, (progress) =>
        withProgress(controller, body, progress, async (): Promise<SecretResult> => {
          const { name, version, changed, outcome } = await work(controller, body);
          const release = outcome === null ? null : deployResult(outcome, ping().url);
          return { name, version, changed, release };
        }),
      );
    });
  };
  change("set", (body) => parseWith(secretSetSchema, body, "secret") as SecretSetRequest, setSecret);
  change("revoke", (body) => parseWith(secretRevokeSchema, body, "revocation") as SecretRevokeRequest, revokeSecret);
  change("remove", (body) => parseWith(secretRemoveSchema, body, "removal") as SecretRemoveRequest, removeSecret);

  const isLocked = async (): Promise<SecretsLock> => ({ locked: (await secrets.state()) === "locked" });
  app.post("/v1/secret/unlock", async (request, reply) => {
    const { passphrase } = parseWith(passphraseSchema, request.body, "passphrase") as PassphraseRequest;
    await streamWork(reply, async () => {
      await secrets.unlock(passphrase ?? "");
      // What could not be started for want of a value is tried again.
      controller.tickAll();
      return isLocked();
    });
  });
  app.post("/v1/secret/protect", async (request, reply) => {
    const { passphrase } = parseWith(passphraseSchema, request.body, "passphrase") as PassphraseRequest;
    await streamWork(reply, async () => {
      await secrets.protect(passphrase);
      return isLocked();
    });
  });
  app.post("/v1/secret/check", (request): Promise<object> => {
    const { secrets: wanted, ...place } = parseWith(secretCheckSchema, request.body, "check") as SecretCheckRequest;
    return checkKept(controller, place, wanted).then(() => ({}));
  });
  app.get("/v1/secrets", (request): Promise<SecretsReport> => {
    const query = parseWith(oneEnvironmentSchema, request.query, "query");
    const record = knownEnvironment(controller, query.app, query.environment);
    const { app: name, environment } = record;
    return isLocked().then((lock) => ({ app: name, environment, ...lock, secrets: secretRows(record) }));
  });
}
