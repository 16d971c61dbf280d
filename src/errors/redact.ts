/**
 * Makes text from outside safe to print: control characters (but newline and tab) become `\xNN`, credentials in URLs
 * are removed.
 */
export function printable(text: string): string {
  const withoutCredentials = text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s@]*@/gi, "$1[redacted]@");
  // oxlint-disable-next-line no-control-regex -- control characters are what this makes visible
  return withoutCredentials.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, visible);
}

/** The same on one line: newline and tab become visible too. */
export function printableLine(text: string): string {
  return printable(text).replace(/[\n\t\u2028\u2029]/g, (character) =>
    character === "\n" ? "\\n" : character === "\t" ? "\\t" : visible(character),
  );
}

function visible(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
