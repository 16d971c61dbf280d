import { unrest } from "../rest.ts";
import type { Invariant } from "./invariant.ts";

/** When nothing goes wrong any more, what is desired comes to be observed, and stays so; every plan settles. */
export const atRest: Invariant = {
  name: "at-rest",
  watch(stage, fail) {
    return {
      complaint: (message) => fail(message),
      rest() {
        if (stage.controller === null) return fail("no daemon comes to life any more");
        const finding = unrest(stage);
        if (finding !== undefined) fail(finding);
      },
    };
  },
};
