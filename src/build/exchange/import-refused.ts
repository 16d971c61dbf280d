import { OperatorError } from "../../errors/operator-error.ts";

/** What is no image that this machine can take. */
export function importRefused(path: string, state: string): OperatorError {
  return new OperatorError("VERIFICATION_FAILED", `Cannot import "${path}": ${state}`, {
    hint: "give an OCI layout folder, an OCI archive or what docker save writes, for this machine's platform",
  });
}
