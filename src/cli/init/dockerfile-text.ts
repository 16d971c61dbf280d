import { writtenBy } from "./text.ts";
import type { Variables } from "./proposal.ts";

/** The user of images that `init` writes: nobody's, as in Debian recipes. */
export const appUser = "65532:65532";

/** `CMD ["node", "server.js"]` */
export function listInstruction(keyword: "CMD" | "ENTRYPOINT", words: readonly string[]): string {
  return `${keyword} [${words.map((word) => JSON.stringify(word)).join(", ")}]`;
}

/** One ENV instruction for all; nothing for none. */
export function envLines(env: Variables): readonly string[] {
  const pairs = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`);
  return pairs.length === 0 ? [] : [`ENV ${pairs.join(" \\\n    ")}`];
}

/** As a Dockerfile takes it: neither `$` nor quotes in it mean anything. */
function quoted(value: string): string {
  if (/^[A-Za-z0-9_./:@,+%=-]+$/.test(value)) return value;
  return `"${value.replaceAll(/["\\$]/g, String.raw`\$&`)}"`;
}

/** Lines of a Dockerfile as text; empty ones part stages and are kept. */
export function dockerfileText(why: string, lines: readonly string[]): string {
  return [writtenBy(why), ...lines, ""].join("\n");
}
