// oxlint-disable-next-line no-control-regex -- colours begin with the escape character
const colours = /\u001b\[[0-9;]*m/g;

// oxlint-disable-next-line no-control-regex -- all of ASCII, the usual case
const ascii = /^[\u0000-\u007f]*$/;

/** Characters that terminals draw over two cells. @see Unicode Standard Annex 11, "East Asian Width" */
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Cells a text takes on a terminal, colours not counted. */
export function textWidth(text: string): number {
  const plain = text.replace(colours, "");
  return ascii.test(plain) ? plain.length : cellsOf(plain).reduce((sum, cell) => sum + cell.width, 0);
}

/** A text without colours, cut to so many cells; what was cut shows as "…". */
export function cutToWidth(text: string, width: number): string {
  if (width <= 0) return "";
  // More code units than cells can show are never looked at.
  const near = text.length > 16 * width ? text.slice(0, 16 * width) : text;
  if (near === text && textWidth(text) <= width) return text;
  let used = 1;
  let kept = "";
  for (const cell of cellsOf(near)) {
    used += cell.width;
    if (used > width) break;
    kept += cell.text;
  }
  return `${kept}…`;
}

function cellsOf(text: string): readonly { readonly text: string; readonly width: number }[] {
  return [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text)].map(({ segment }) => ({
    text: segment,
    width: wide.test(segment) ? 2 : 1,
  }));
}
