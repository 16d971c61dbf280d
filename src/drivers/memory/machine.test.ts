import { machineSuite } from "../../ports/machine.suite.ts";
import { createMemoryFacts } from "./machine.ts";

machineSuite("createMemoryFacts()", createMemoryFacts());
machineSuite(
  "createMemoryFacts() of a machine whose memory is short",
  createMemoryFacts(() => true),
);
