import type { ErrorRuleSettings } from "../../model/analysis.ts";
import { judgeErrors, type ComparedCounts, type ErrorVerdict, type EvidenceStart } from "../error-rule.ts";
import { percent, type TrafficShare } from "../watch.ts";

/** What the rule over the router's counts looked at. */
export interface ErrorInputs {
  readonly rule: ErrorRuleSettings;
  readonly starts: readonly EvidenceStart[];
  readonly now: ComparedCounts;
}

export function decideErrors({ rule, starts, now }: ErrorInputs): ErrorVerdict {
  return judgeErrors(rule, starts, now);
}

export function errorSentence({ rule }: ErrorInputs, { fires, stretch }: ErrorVerdict): string {
  const live = stretch.live === null ? "" : `, ${shareText(stretch.live)} of what is live in the same time`;
  const bound = `${percent(rule.floor)} and ${rule.ratio} times what is live`;
  return `${shareText(stretch.fresh)} failed${live}: ${fires ? `more than ${bound}, which chance does not explain` : `not shown to be more than ${bound}`}`;
}

function shareText({ requests, errors }: TrafficShare): string {
  return `${errors} of ${requests} requests${requests === 0 ? "" : ` (${percent(errors / requests)})`}`;
}
