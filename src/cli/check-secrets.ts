import type { WantedSecret } from "../model/api/releases.ts";
import type { SecretCheckRequest } from "../model/api/secrets.ts";
import type { Context } from "./context.ts";
import type { Target } from "./project.ts";

/**
 * Asks the daemon whether it has the values that a deploy will want: before what takes long, or what would be left half
 * done. Values that come with the deploy stay here.
 *
 * @throws {OperatorError} `SECRET_MISSING`, `SECRET_UNREADABLE`, `SECRETS_LOCKED`
 */
export async function checkSecrets(
  { client, signal }: Pick<Context, "client" | "signal">,
  { app, environment }: Target,
  wanted: readonly WantedSecret[],
): Promise<void> {
  const secrets = wanted.filter(({ value }) => value === undefined);
  if (secrets.length === 0) return;
  const body: SecretCheckRequest = { app, environment, secrets };
  for await (const _ of client.stream<object>("POST", "/v1/secret/check", { body }, signal));
}
