import type { Cgroups } from "../../linux/cgroups.ts";
import type { EnvironmentLimits } from "../../model/content.ts";
import type { InstanceSet } from "../../ports/runtime.ts";

type Confined = Pick<InstanceSet, "app" | "environment">;

/** Limits of apps in environments, put on before an instance is started under them. */
export interface Confinement {
  confine(app: string, environment: string, limits: EnvironmentLimits | null): Promise<void>;
  /** Resolves when what was asked for last is done, or has failed. */
  settled(of: Confined): Promise<void>;
  /** Cores that all instances have together; null: no limit. */
  cpuOf(of: Confined): number | null;
}

export function createConfinement(cgroups: Pick<Cgroups, "confine">): Confinement {
  const known = new Map<string, EnvironmentLimits>();
  const underWay = new Map<string, Promise<void>>();
  const keyOf = (app: string, environment: string): string => `${app}/${environment}`;
  return {
    confine(app, environment, limits) {
      const key = keyOf(app, environment);
      if (limits === null) known.delete(key);
      else known.set(key, limits);
      const work = (underWay.get(key) ?? Promise.resolve())
        .catch(() => {})
        .then(() => cgroups.confine(app, environment, limits));
      underWay.set(key, work);
      return work.finally(() => {
        if (underWay.get(key) === work) underWay.delete(key);
      });
    },
    settled: async ({ app, environment }) => {
      await underWay.get(keyOf(app, environment))?.catch(() => {});
    },
    cpuOf: ({ app, environment }) => known.get(keyOf(app, environment))?.cpu ?? null,
  };
}
