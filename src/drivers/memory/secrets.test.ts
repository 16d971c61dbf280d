import { secretsSuite } from "../../ports/secrets.suite.ts";
import { createMemorySecrets } from "./secrets.ts";

secretsSuite("memory secrets", () => {
  const memory = createMemorySecrets();
  return { secrets: memory.open(), restarted: () => memory.open() };
});
