import type { LedgerEvent } from "../../ledger/event.ts";
import type { Digest } from "../../model/canonical.ts";
import { namedRollback } from "../acts.ts";
import type { Invariant } from "./invariant.ts";

type EventOf<Kind extends LedgerEvent["data"]["kind"]> = Extract<LedgerEvent["data"], { kind: Kind }>;

/**
 * A rollback goes to what it is to go to, by a model of its own: the content that a release taken back replaced, else the
 * nearest earlier proven one of the line. When it is done, that content answers and runs.
 */
export const rollbackTarget: Invariant = {
  name: "rollback-target",
  watch(stage, fail) {
    const digests = new Map<number, Digest>();
    const created = new Map<number, EventOf<"release.created">>();
    const proven = new Set<Digest>();
    /** What proved bad, and by which release. */
    const bad = new Map<Digest, number>();
    let line: number[] = [];
    let live: number | null = null;
    /** What was live before it. */
    const replaced = new Map<number, number | null>();
    let takenBack: number | null = null;

    /** Where a rollback leads by itself. */
    function nearest(): Digest | undefined {
      const now = live === null ? undefined : digests.get(live);
      return line
        .slice(0, -1)
        .reverse()
        .map((number) => digests.get(number))
        .find((digest) => digest !== undefined && digest !== now && proven.has(digest) && !bad.has(digest));
    }

    function create(data: EventOf<"release.created">): void {
      created.set(data.release, data);
      digests.set(data.release, data.digest);
      if (data.type !== "rollback") return;
      const { release, digest, automatic, cause } = data;
      const from = automatic ? takenBack : null;
      const before = from === null ? null : (replaced.get(from) ?? null);
      const replacedDigest = before === null ? undefined : digests.get(before);
      const isFit = replacedDigest !== undefined && !bad.has(replacedDigest);
      const wanted = automatic && isFit ? replacedDigest : nearest();
      if ((automatic || cause.why !== namedRollback) && wanted !== digest)
        fail(`rollback v${release} brings ${digest}, ${wanted ?? "nothing"} is to come`);
      const origin = data.of === null ? undefined : digests.get(data.of);
      if (origin !== digest) fail(`rollback v${release} brings ${digest}, v${data.of ?? 0} is ${origin ?? "unknown"}`);
    }

    function complete({ release, set }: EventOf<"traffic.switched">): void {
      const data = created.get(release);
      if (data === undefined) return;
      replaced.set(release, live);
      live = release;
      const entry = data.of ?? release;
      const at = line.indexOf(entry);
      if (data.type === "deploy") for (const [digest, shown] of bad) if (shown < release) bad.delete(digest);
      line = data.type === "rollback" && at >= 0 ? line.slice(0, at + 1) : [...line, entry];
      if (data.type !== "rollback") return;
      for (const { seen } of stage.machine.instances())
        if (seen.set === set && seen.digest !== data.digest)
          fail(`rollback v${release} is done, and ${seen.name} runs ${seen.digest}`);
      if (!stage.router.rules().some(({ stable }) => stable === set))
        fail(`rollback v${release} is done, and no route leads to ${set}`);
    }

    return {
      event({ data }) {
        if (data.kind === "release.created") create(data);
        else if (data.kind === "traffic.switched") complete(data);
        else if (data.kind === "release.proven") proven.add(digests.get(data.release) ?? ("" as Digest));
        else if (data.kind === "content.quarantined") bad.set(data.digest, data.release);
        else if (data.kind === "content.allowed") bad.delete(data.digest);
        else if (data.kind === "release.taken_back") takenBack = data.release;
        else if (data.kind === "app.down") live = null;
      },
    };
  },
};
