import { InstructionProblem } from "./problems.ts";

/** What `--chmod` makes of a mode. */
export type ModeChange = (mode: number, isFolder: boolean) => number;

const bitsOf: { readonly [letter: string]: number } = { r: 4, w: 2, x: 1 };
const shifts: { readonly [who: string]: number } = { u: 6, g: 3, o: 0 };

/**
 * Reads `--chmod`: octal, or symbolic as chmod(1) has it.
 *
 * @throws {InstructionProblem}
 */
export function readModeChange(text: string): ModeChange {
  if (/^[0-7]{1,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(",").map((clause) => {
    const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
    if (match === null)
      throw new InstructionProblem(`--chmod=${text.slice(0, 40)} is no mode: write 755 or u=rwX,go=rX`);
    const who = (match[1] ?? "") === "" || match[1]?.includes("a") === true ? "ugo" : (match[1] ?? "");
    const actions = [...(match[2] ?? "").matchAll(/([-+=])([^-+=]*)/g)];
    return actions.map(([, action = "", letters = ""]) => ({ who, action, letters }));
  });
  return (mode, isFolder) => clauses.flat().reduce((now, clause) => applyClause(now, clause, isFolder), mode);
}

function applyClause(
  mode: number,
  { who, action, letters }: { readonly who: string; readonly action: string; readonly letters: string },
  isFolder: boolean,
): number {
  let bits = 0;
  let mask = 0;
  for (const one of who) {
    const shift = shifts[one] ?? 0;
    mask |= 7 << shift;
    const from = /^[ugo]$/.test(letters) ? (mode >> (shifts[letters] ?? 0)) & 7 : undefined;
    const own = letters.split("").reduce((sum, letter) => sum | (bitsOf[letter] ?? 0), 0);
    const conditional = letters.includes("X") && (isFolder || (mode & 0o111) !== 0) ? 1 : 0;
    bits |= (from ?? own | conditional) << shift;
  }
  if (letters.includes("s")) bits |= (who.includes("u") ? 0o4000 : 0) | (who.includes("g") ? 0o2000 : 0);
  if (letters.includes("t") && who.includes("o")) bits |= 0o1000;
  if (action === "+") return mode | bits;
  if (action === "-") return mode & ~bits;
  const special = (who.includes("u") ? 0o4000 : 0) | (who.includes("g") ? 0o2000 : 0) | (who === "ugo" ? 0o1000 : 0);
  return (mode & ~mask & ~special) | bits;
}
