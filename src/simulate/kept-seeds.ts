/** Seeds that found a bug, and what it was. */
export const kept: readonly { readonly seed: number; readonly found: string }[] = [
  { seed: 15, found: "one instance too many was started when one that was replaced was gone before" },
  { seed: 160, found: "a set was ended to which a switch had led the route, as the router's answers were lost" },
];
