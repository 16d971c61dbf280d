import { sha256 } from "../../model/canonical.ts";
import { verifierSuite } from "../../ports/verifier.suite.ts";
import { createMemoryVerifier } from "./verifier.ts";

verifierSuite("createMemoryVerifier()", async () => {
  const lacking = sha256("nothing");
  const verifier = createMemoryVerifier({ lacks: new Set([lacking]) });
  return {
    verifier,
    async made(name, ...from) {
      const digest = sha256(name);
      verifier.made(digest, ...from);
      return digest;
    },
    changeKeys: async () => verifier.changeKeys(),
    lacking,
  };
});
