/** Colours by meaning; the identity where there are none. */
export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

/**
 * @param terminal whether a person looks at it
 * @param env `NO_COLOR` (any value but empty) turns colours off, `FORCE_COLOR` turns them on
 * @see https://no-color.org
 */
export function createPaint(terminal: boolean, env: { readonly [name: string]: string | undefined }): Paint {
  const wanted = (terminal || Boolean(env["FORCE_COLOR"])) && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  const style = (code: number, end: number) => (text: string) =>
    wanted ? `\u001b[${code}m${text}\u001b[${end}m` : text;
  return { good: style(32, 39), bad: style(31, 39), warn: style(33, 39), dim: style(2, 22), bold: style(1, 22) };
}

/** The same without colours. */
export const plainPaint: Paint = createPaint(false, {});
