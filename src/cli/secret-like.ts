import { scanText } from "../build/secrets/scanner.ts";
import type { ConfigOverrides } from "../model/config.ts";

/** Variables whose values look like secrets, each with the rule that says so. */
export function secretLike(variables: ConfigOverrides): readonly { readonly name: string; readonly rule: string }[] {
  return Object.entries(variables).flatMap(([name, value]) => {
    const [rule] = value === null ? [] : scanText(`${name}=${value}\n`, []);
    return rule === undefined ? [] : { name, rule };
  });
}
