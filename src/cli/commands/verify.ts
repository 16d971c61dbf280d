import { Command } from "commander";
import { OperatorError } from "../../errors/operator-error.ts";
import type { Digest } from "../../model/canonical.ts";
import type { Store } from "../../ports/store.ts";
import { explainVerification, type Explained } from "../../render/explanation.ts";
import { renderVerification } from "../../render/verification.ts";
import { attestationBlob } from "../../store/attestations.ts";
import type { KeyLog } from "../../trust/key-log.ts";
import type { TrustMaterial } from "../../trust/standing.ts";
import { artifactPolicy } from "../../trust/policy.ts";
import { openStore } from "../local-store.ts";
import { createContext, withShared, type SharedOptions } from "../context.ts";
import { keyLogPath, openKeyring } from "../keyring.ts";
import { findArtifact } from "../store-image.ts";
import { readTrustedKey } from "../trusted-key.ts";
import { inspectArtifact, type Inspection } from "../verify/inspect.ts";

interface VerifyOptions extends SharedOptions {
  readonly file: string;
  readonly explain?: boolean;
  readonly key?: string;
}

export function verifyCommand(): Command {
  return withShared(new Command("verify"))
    .description(
      "Verifies an artifact of the store: every byte, what is said about it, the keys that signed; exit 7 with the reason when anything does not hold. Opens no connection.",
    )
    .argument("[artifact]", "app, name or digest in the store (default: the newest of this folder's app)")
    .option("--file <path>", "definition", "bronze.yaml")
    .option("--key <file>", "believe this public key instead of the machine's own: what another machine built")
    .option("--explain", "print the same as steps for a shell, with sha256sum and openssl")
    .action(async (text: string | undefined, options: VerifyOptions) => {
      const context = createContext(options);
      const store = openStore(context);
      const artifact = await findArtifact(context, store, text, options, "verify artifact");
      const trust = options.key === undefined ? await openKeyring(context).trust() : await readTrustedKey(options.key);
      const origin = (await store.buildOf(artifact)) === undefined ? "imported" : "built";
      const found = await inspectArtifact(store, artifact, trust, artifactPolicy(origin));
      const { output } = context;
      if (options.explain === true && found.ok) {
        const steps = explainVerification(await explained(store, found, trust, keyLogPath(context)));
        for (const step of steps) output.line(step);
        output.record({ artifact, steps });
        return;
      }
      for (const line of renderVerification(found, output.paint)) output.line(line);
      if (!found.ok) throw notVerified(found, trust);
      output.record(found);
    });
}

function notVerified({ artifact, reasons, bundles }: Inspection, { log }: TrustMaterial): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot verify ${artifact}: ${reasons.join("; ")}`, {
    hint: hintFor(bundles, log),
    details: { artifact, reasons, bundles },
  });
}

function hintFor(bundles: Inspection["bundles"], { active }: KeyLog): string {
  if (bundles.length === 0)
    return "`bronze build` signs what it makes; what others made, sign with `bronze attest` once you trust it";
  const notAfter = active?.notAfter ?? null;
  if (notAfter !== null && Date.parse(notAfter) <= Date.now())
    return "the window of this machine's key is over: `bronze key rotate` makes a new one, and lists what is here";
  const again = "do not run it; build it again from its source, or import it again from where it came from";
  return bundles.some(({ key }) => key !== null)
    ? again
    : `when another machine signed it, name that machine's key with --key; otherwise ${again}`;
}

async function explained(
  store: Store,
  { artifact, parts, bundles }: Inspection,
  { log }: TrustMaterial,
  logPath: string,
): Promise<Explained> {
  const pathOf = async (digest: Digest): Promise<{ readonly digest: Digest; readonly path: string }> => ({
    digest,
    path: await store.path(digest),
  });
  const believed = [];
  for (const { manifest, predicateType, key: id, problem } of bundles) {
    const key = log.keys.find((one) => one.id === id);
    const blob = await attestationBlob(store, manifest);
    if (problem !== null || predicateType === null || key === undefined || blob === undefined) continue;
    believed.push({ ...(await pathOf(blob)), predicateType, key });
  }
  return {
    artifact,
    manifestPath: await store.path(artifact),
    parts: await Promise.all(parts.map(({ digest }) => pathOf(digest))),
    bundles: believed,
    log,
    logPath,
  };
}
