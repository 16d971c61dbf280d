const longest = 1_000;
const pattern = /^(?:[0-9]{1,9}:[0-9A-Za-z.+~:-]+|[0-9A-Za-z.+~-]+)$/;

/**
 * Whether a text is a version that {@link compareDebianVersions} can put in order.
 *
 * @see Debian policy 5.6.12; as in dpkg, an upstream version need not begin with a digit
 */
export function isDebianVersion(text: string): boolean {
  if (text.length > longest || !pattern.test(text)) return false;
  const { upstream, revision } = split(text);
  return upstream !== "" && !revision.includes(":") && !text.endsWith("-");
}

/**
 * Puts two Debian versions in order as dpkg does: epoch, upstream version, revision.
 *
 * @param a as `isDebianVersion` takes it, as is `b`
 * @returns below 0 where `a` is earlier, above 0 where it is later, 0 where they are equal
 * @see Debian policy 5.6.12
 */
export function compareDebianVersions(a: string, b: string): number {
  if (a === b) return 0;
  const left = split(a);
  const right = split(b);
  return (
    left.epoch - right.epoch ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  );
}

function split(text: string): { readonly epoch: number; readonly upstream: string; readonly revision: string } {
  const colon = text.indexOf(":");
  const rest = colon < 0 ? text : text.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(text.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

const zero = 48;
const nine = 57;
const isDigit = (code: number): boolean => code >= zero && code <= nine;

/** Alternately what is not digits, character by character, and digits, as numbers of any length. */
function compareParts(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a.charCodeAt(i))) || (j < b.length && !isDigit(b.charCodeAt(j)))) {
      const difference = weight(a, i) - weight(b, j);
      if (difference !== 0) return difference;
      i += 1;
      j += 1;
    }
    while (a.charCodeAt(i) === zero) i += 1;
    while (b.charCodeAt(j) === zero) j += 1;
    let first = 0;
    while (isDigit(a.charCodeAt(i)) && isDigit(b.charCodeAt(j))) {
      if (first === 0) first = a.charCodeAt(i) - b.charCodeAt(j);
      i += 1;
      j += 1;
    }
    if (isDigit(a.charCodeAt(i))) return 1;
    if (isDigit(b.charCodeAt(j))) return -1;
    if (first !== 0) return first;
  }
  return 0;
}

/** A tilde comes before the end, the end (and a digit) before letters, letters before all else. */
function weight(text: string, index: number): number {
  if (index >= text.length) return 0;
  const code = text.charCodeAt(index);
  if (isDigit(code)) return 0;
  if (code === 126) return -1;
  const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return isLetter ? code : code + 256;
}
