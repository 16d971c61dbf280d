import { sha256 } from "../../model/canonical.ts";
import { evidenceSuite } from "../../ports/evidence.suite.ts";
import { createMemoryEvidence } from "./evidence.ts";

evidenceSuite("createMemoryEvidence()", async () => {
  const lacking = sha256("nothing");
  const keeper = createMemoryEvidence({ lacks: new Set([lacking]) });
  return {
    keeper,
    artifacts: [sha256("one"), sha256("other")],
    lacking,
    count: async (artifact) => keeper.about(artifact).length,
  };
});
