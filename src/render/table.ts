import { textWidth as width } from "./width.ts";

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
