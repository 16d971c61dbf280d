/** What one check found. */
export interface Finding {
  readonly name: string;
  /** `fail`: something needed is missing; `warn`: it works, with less. */
  readonly state: "ok" | "warn" | "fail";
  readonly found: string;
  /** What to do; absent where nothing is to be done. */
  readonly advice?: string;
}

export function ok(name: string, found: string): Finding {
  return { name, state: "ok", found };
}

export function warn(name: string, found: string, advice: string): Finding {
  return { name, state: "warn", found, advice };
}

export function fail(name: string, found: string, advice: string): Finding {
  return { name, state: "fail", found, advice };
}
