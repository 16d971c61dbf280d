import spdx from "spdx-license-ids/index.json" with { type: "json" };
import type { Json } from "../../../model/canonical.ts";

const ids: ReadonlyMap<string, string> = new Map(spdx.map((id) => [id.toLowerCase(), id]));

/** Names that Debian gives licences and SPDX gives otherwise. @see https://wiki.debian.org/Proposals/CopyrightFormat */
const debianNames: ReadonlyMap<string, string> = new Map([
  ["expat", "MIT"],
  ["artistic", "Artistic-1.0-Perl"],
  ["psf-2", "PSF-2.0"],
  ["public-domain", ""],
]);

/** The SPDX id of a licence as a package names it: its own, Debian's short name for it, or a usual spelling of it. */
function spdxId(name: string): string | undefined {
  const plain = name.trim().toLowerCase();
  const own = ids.get(plain) ?? debianNames.get(plain);
  if (own !== undefined) return own === "" ? undefined : own;
  // GPL-2, GPL-2+, GPL-2.0+: the GNU licences say whether later versions will do.
  const [, family = "", number = "", later] = /^((?:a|l)?gpl|gfdl)-?v?([0-9](?:\.[0-9])?)(\+)?$/.exec(plain) ?? [];
  if (family === "") {
    const version = /^(apache|mpl|artistic|cc0)-([0-9])$/.exec(plain);
    return version === null ? undefined : ids.get(`${version[1]}-${version[2]}.0`);
  }
  const version = number.includes(".") ? number : `${number}.${number === "1" && family === "gfdl" ? "1" : "0"}`;
  return ids.get(`${family}-${version}-${later === undefined ? "only" : "or-later"}`);
}

/**
 * Licences as CycloneDX has them: SPDX ids where they are such, else the name. An expression of ids stands alone.
 *
 * @param names each one licence or one SPDX expression
 */
export function licenceChoices(names: readonly string[]): readonly Json[] {
  const [only, second] = names;
  if (only !== undefined && second === undefined && isExpression(only)) return [{ expression: only }];
  const choices = new Map<string, Json>();
  for (const name of names) {
    const id = spdxId(name);
    if (id !== undefined) choices.set(id, { license: { id } });
    else if (name.trim() !== "") choices.set(name, { license: { name } });
  }
  return [...choices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, choice]) => choice);
}

/** Whether a text is more than one SPDX id, put together as SPDX does. */
function isExpression(text: string): boolean {
  const words = text.replace(/[()]/g, " ").trim().split(/\s+/);
  if (words.length < 3 || words.length % 2 === 0) return false;
  const isBalanced = text.split("(").length === text.split(")").length;
  return (
    isBalanced && words.every((word, at) => (at % 2 === 0 ? ids.has(word.toLowerCase()) : /^(AND|OR)$/.test(word)))
  );
}
