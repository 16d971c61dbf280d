// oxlint-disable-next-line no-control-regex -- colours begin with the escape character
const colours = /\u001b\[[0-9;]*m/g;

/** Characters a text takes on a terminal, colours not counted. */
function width(text: string): number {
  const plain = text.replace(colours, "");
  // oxlint-disable-next-line no-control-regex -- all of ASCII, the usual case
  return /^[\u0000-\u007f]*$/.test(plain)
    ? plain.length
    : [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(plain)].length;
}

/**
 * Lines up cells in columns two spaces apart; the last column is not padded.
 *
 * @param rows the first may be the heading
 * @param right indexes of columns that are aligned to the right
 */
export function renderTable(rows: readonly (readonly string[])[], right: readonly number[] = []): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, width(cell))));
  return rows.map((row) =>
    row
      .map((cell, index) => {
        const gap = " ".repeat((widths[index] ?? 0) - width(cell));
        if (right.includes(index)) return gap + cell;
        return index === row.length - 1 ? cell : cell + gap;
      })
      .join("  ")
      .trimEnd(),
  );
}
