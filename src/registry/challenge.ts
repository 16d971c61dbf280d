/** How a registry wants to be asked, from its `WWW-Authenticate` header. */
export type Challenge =
  | { readonly kind: "basic" }
  | { readonly kind: "bearer"; readonly realm: string; readonly service: string; readonly scope: string };

/**
 * The challenge that can be met; undefined where there is none.
 *
 * @see RFC 9110 section 11.6.1; distribution, "Token Authentication Specification"
 */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const found = new Map<string, Map<string, string>>();
  let parameters: Map<string, string> | undefined;
  const pattern = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?\s*,?\s*/y;
  const text = (header ?? "").slice(0, 8192).trim();
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [, word = "", quoted, plain] = match;
    const name = word.toLowerCase();
    if (quoted === undefined && plain === undefined) found.set(name, (parameters = new Map()));
    else parameters?.set(name, plain ?? (quoted ?? "").replace(/\\(.)/g, "$1"));
    if (pattern.lastIndex >= text.length) break;
  }
  const bearer = found.get("bearer");
  const realm = bearer?.get("realm");
  if (realm !== undefined)
    return { kind: "bearer", realm, service: bearer?.get("service") ?? "", scope: bearer?.get("scope") ?? "" };
  return found.has("basic") ? { kind: "basic" } : undefined;
}
