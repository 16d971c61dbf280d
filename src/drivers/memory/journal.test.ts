import { journalSuite } from "../../ports/journal.suite.ts";
import { createMemoryJournal } from "./journal.ts";

journalSuite("memory journal", () => ({
  journal: createMemoryJournal(),
  reopen: (journal) => journal,
  clean: () => {},
}));
