import { analysisHeeded } from "./analysis-heeded.ts";
import { answersTrue } from "./answers-true.ts";
import { atRest } from "./at-rest.ts";
import { deadline } from "./deadline.ts";
import { intendedTraffic } from "./intended-traffic.ts";
import type { Invariant } from "./invariant.ts";
import { ledgerExplains } from "./ledger-explains.ts";
import { noRequestLost } from "./no-request-lost.ts";
import { nothingForgotten } from "./nothing-forgotten.ts";
import { nothingLeaks } from "./nothing-leaks.ts";
import { readyCapacity } from "./ready-capacity.ts";
import { rollbackTarget } from "./rollback-target.ts";
import { weightsSum } from "./weights-sum.ts";

/** All that must hold in every run. */
export const invariants: readonly Invariant[] = [
  readyCapacity,
  intendedTraffic,
  noRequestLost,
  weightsSum,
  deadline,
  rollbackTarget,
  analysisHeeded,
  nothingForgotten,
  ledgerExplains,
  nothingLeaks,
  atRest,
  answersTrue,
];
