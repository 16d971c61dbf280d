import { readAlternatives } from "./alternatives.ts";

/** A package whose maintainer scripts would have done something that is missed in a root where none ran. */
export interface SkippedScript {
  readonly package: string;
  /** The programs that they call for it, sorted. */
  readonly uses: readonly string[];
}

/** Programs of maintainer scripts that change what runs afterwards. Caches, services and menus mean nothing in an image. */
const meaningful =
  "update-alternatives adduser addgroup useradd groupadd dpkg-divert dpkg-statoverride setcap chown cp install ln mv"
    .split(" ")
    .map((name) => ({
      name,
      called: new RegExp(`(^|[;&|(\`]|\\b(?:then|do|else|exec|if|!)\\s)\\s*(?:/usr)?(?:/s?bin/)?${name}\\s`, "m"),
    }));

/** Packages whose scripts were read: what they do is done here, or is for updates from older versions. */
const known =
  /^(base-files|base-passwd|ca-certificates|libc6|libc-bin|tzdata|openssl|python3(\.[0-9]+)?(-minimal)?|libgssapi-krb5-2|readline-common|git)$/;

/**
 * What the scripts of a package, which never ran, would have done. A guess from their text, made to name too many packages
 * rather than too few.
 *
 * @param files of the package's control archive
 */
export function skippedScript(name: string, files: ReadonlyMap<string, string>): SkippedScript | undefined {
  if (known.test(name)) return undefined;
  const text = ["preinst", "postinst"]
    .map((file) => files.get(file) ?? "")
    .join("\n")
    .replace(/^\s*#.*$/gm, "")
    .replace(/\\\n/g, " ");
  const alternatives = readAlternatives(text);
  const uses = meaningful
    .filter(({ called }) => called.test(text))
    .map((program) => program.name)
    .filter((program) => program !== "update-alternatives" || !alternatives.complete);
  return uses.length === 0 ? undefined : { package: name, uses: uses.sort() };
}
