import { digestHex, type Digest } from "../model/canonical.ts";
import { statementType } from "../trust/statement.ts";
import { entryType, shortKey, type KeyLog, type LoggedKey } from "../trust/key-log.ts";

/** What a person needs to verify an artifact with the tools of any machine. */
export interface Explained {
  readonly artifact: Digest;
  readonly manifestPath: string;
  readonly parts: readonly { readonly digest: Digest; readonly path: string }[];
  /** Those that are believed. */
  readonly bundles: readonly { readonly path: string; readonly predicateType: string; readonly key: LoggedKey }[];
  readonly log: KeyLog;
  readonly logPath: string;
}

/**
 * The steps of a verification as lines for a POSIX shell: sha256sum, sed, base64 and openssl. Each step fails for itself, so that
 * pasting all of it in one piece ends at the first that does not hold under `sh -e`.
 */
export function explainVerification({
  artifact,
  manifestPath,
  parts,
  bundles,
  log,
  logPath,
}: Explained): readonly string[] {
  const keys = new Map(bundles.map(({ key }) => [key.id, key]));
  return [
    "# What is written and compared here goes into a folder of its own.",
    "dir=$(mktemp -d)",
    "",
    "# 1. The manifest is the one that the artifact's digest names.",
    hashed(artifact, manifestPath),
    "",
    "# 2. Config and layers are those that the manifest names.",
    ...parts.flatMap(({ digest, path }) => [
      `grep -qF ${quoted(`"digest":"${digest}"`)} ${quoted(manifestPath)}`,
      hashed(digest, path),
    ]),
    "",
    "# 3. The public keys. Compare them with those that you have from where you trust, or trust the log (step 5).",
    ...[...keys.values()].flatMap((key) => [
      `cat > "$dir/${shortKey(key.id)}.pem" <<'END'`,
      key.publicKey.trimEnd(),
      "END",
    ]),
    "",
    "# 4. What is said about the artifact: each statement is signed in DSSE's encoding, and names the artifact.",
    ...bundles.flatMap((bundle) => explainBundle(artifact, bundle)),
    "# 5. The key log: each entry follows from the one before, and is signed by the key before and by the key that it brings.",
    ...explainLog(log, logPath),
    "",
    'rm -r "$dir"',
  ];
}

function explainBundle(
  artifact: Digest,
  { path, predicateType, key }: Explained["bundles"][number],
): readonly string[] {
  return [
    `# ${predicateType}`,
    `bundle=${quoted(path)}`,
    `sed -n 's/.*"payload":"\\([^"]*\\)".*/\\1/p' "$bundle" | base64 -d > "$dir/statement"`,
    `sed -n 's/.*"sig":"\\([^"]*\\)".*/\\1/p' "$bundle" | base64 -d > "$dir/signature"`,
    ...checked(statementType, shortKey(key.id)),
    `grep -qF ${quoted(`"subject":[{"digest":{"sha256":"${digestHex(artifact)}"}}]`)} "$dir/statement"`,
    `grep -qF ${quoted(`"predicateType":"${predicateType}"`)} "$dir/statement"`,
    "",
  ];
}

function explainLog({ entries, keys }: KeyLog, logPath: string): readonly string[] {
  if (entries.length === 0) return ["# None: the key was given by hand."];
  const lines = [`log=${quoted(logPath)}`];
  let active: string | null = null;
  for (const [index, entry] of entries.entries()) {
    const line = `sed -n ${index + 1}p "$log"`;
    lines.push("", `# entry ${index}: ${entry.at} ${entry.kind} ${shortKey(entry.key)}`);
    if (entry.previous !== null)
      lines.push(
        `test "$(sed -n ${index}p "$log" | tr -d '\\n' | sha256sum | cut -c 1-64)" = ${digestHex(entry.previous)}`,
        `${line} | grep -qF ${quoted(`"previous":"${entry.previous}"`)}`,
      );
    const made = entry.kind === "revoked" ? undefined : keys.find(({ id }) => id === entry.key);
    if (made !== undefined)
      lines.push(`cat > "$dir/${shortKey(made.id)}.pem" <<'END'`, made.publicKey.trimEnd(), "END");
    lines.push(`${line} | sed 's/^{"entry":\\(.*\\),"signatures":.*/\\1/' | tr -d '\\n' > "$dir/statement"`);
    for (const signer of [active, made?.id ?? null].filter((id) => id !== null)) {
      lines.push(
        `${line} | sed 's/.*"keyid":"${signer}","sig":"\\([^"]*\\)".*/\\1/' | base64 -d > "$dir/signature"`,
        ...checked(entryType, signer.slice(0, 12)),
      );
    }
    active = made?.id ?? active;
  }
  const ended = keys.filter(({ state }) => state === "revoked");
  return [
    ...lines,
    "",
    ...(ended.length === 0
      ? ["# No key was revoked."]
      : [
          `# Revoked: ${ended.map(({ id }) => shortKey(id)).join(", ")}. Of what such a key signed, only statements stand whose sha256 is in the list`,
          '# that the entry names under "stands": keys/standing/ beside the log.',
        ]),
  ];
}

/** The pre-authentication encoding, and the signature over it. */
function checked(payloadType: string, key: string): readonly string[] {
  return [
    `{ printf 'DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} %s ' "$(wc -c < "$dir/statement")"; cat "$dir/statement"; } > "$dir/signed"`,
    `openssl dgst -sha256 -verify "$dir/${key}.pem" -signature "$dir/signature" "$dir/signed"`,
  ];
}

function hashed(digest: Digest, path: string): string {
  return `echo "${digestHex(digest)}  "${quoted(path)} | sha256sum -c`;
}

/** One word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
