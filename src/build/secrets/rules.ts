/** What a secret looks like in bytes, wherever it stands. */
export interface ContentRule {
  /** As findings, marks and documentation name it. */
  readonly id: string;
  readonly title: string;
  /**
   * Texts one of which is in every match. At most six bytes each, and beginning or ending with a rare one: those are found
   * at five to fifteen GB/s, others at one or two.
   */
  readonly anchors: readonly string[];
  /** Finds the secret in the bytes around an anchor, one character a byte; always global. */
  readonly pattern: RegExp;
  /** Tells a secret from what only looks like one. @param after what the pattern's group saw behind the match */
  readonly isReal?: (match: string, after: string) => boolean;
}

/** A file that holds secrets by its purpose. */
export interface FileRule {
  readonly id: string;
  readonly title: string;
  /** Of the whole path, one character a byte. */
  readonly path: RegExp;
  /** A line with a secret in it. */
  readonly line: RegExp;
}

/** Bumped with every change of rules or of what counts as harmless: results of older ones are not believed. */
export const rulesVersion = 3;

/** Bytes looked at before and after an anchor. */
export const reachBefore = 64;
export const reachAfter = 512;

/** A text of fewer different characters is a placeholder: `xxxxxxxx`, `0000`, `AAAA…`. */
function isVaried(text: string, least = 10): boolean {
  return new Set(text).size >= least;
}

const keyStart = /^(?:\\[rn]|[\s"'`+,|>#*]){1,80}(?:[A-Za-z-]+: |[A-Za-z0-9/+=]{12})/;

/** Bytes of a key after its first line: not the mere words, as programs that read keys have them. */
function hasKeyBody(_: string, after: string): boolean {
  if (!keyStart.test(after)) return false;
  const body = after
    .replace(/\\[rn]/g, "\n")
    .replace(/^[ \t]*[A-Za-z-]+: .*$/gm, "")
    .replace(/[\s"'`+,|>#*]/g, "");
  const bytes = /^[A-Za-z0-9/+=]{40,}/.exec(body)?.[0];
  return bytes !== undefined && isVaried(bytes, 16);
}

const isNoExample = (match: string): boolean => !/EXAMPLE|example|XXXX|xxxx/.test(match) && isVaried(match);

export const contentRules: readonly ContentRule[] = [
  {
    id: "private-key",
    title: "a private key (PEM, OpenSSH or PGP)",
    anchors: ["KEY--", "KEY BL"],
    pattern: /-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?=([^]{0,500}))/g,
    isReal: hasKeyBody,
  },
  {
    id: "putty-key",
    title: "a PuTTY private key",
    anchors: ["PuTTY-"],
    pattern: /PuTTY-User-Key-File-[0-9]: [a-z0-9@.-]+\r?\nEncryption: /g,
  },
  {
    id: "age-key",
    title: "an age secret key",
    anchors: ["KEY-1"],
    pattern: /AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}/g,
    isReal: (match) => isVaried(match, 24),
  },
  {
    id: "aws-access-key",
    title: "an AWS access key",
    anchors: ["AKIA", "ASIA"],
    pattern: /(?<![A-Za-z0-9/+])A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9/+])/g,
    isReal: isNoExample,
  },
  {
    id: "aws-secret-key",
    title: "an AWS secret access key",
    anchors: ["_ACCES", "_acces"],
    pattern: /secret_access_key["']?\s*[=:]\s*["']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/gi,
    isReal: isNoExample,
  },
  {
    id: "github-token",
    title: "a GitHub token",
    anchors: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "_pat_"],
    pattern: /(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})/g,
    isReal: isNoExample,
  },
  {
    id: "gitlab-token",
    title: "a GitLab token",
    anchors: ["glpat-"],
    pattern: /(?<![A-Za-z0-9_-])glpat-[A-Za-z0-9_-]{20,}/g,
    isReal: isNoExample,
  },
  {
    id: "slack-token",
    title: "a Slack token",
    anchors: ["xox"],
    pattern: /(?<![A-Za-z0-9])xox[abeoprs]-(?:[0-9]{6,}-)+[A-Za-z0-9-]{8,}/g,
    isReal: isNoExample,
  },
  {
    id: "stripe-key",
    title: "a live Stripe key",
    anchors: ["_live_"],
    pattern: /(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{16,}/g,
    isReal: isNoExample,
  },
  {
    id: "npm-token",
    title: "an npm token",
    anchors: ["npm_"],
    pattern: /(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9_])/g,
    isReal: isNoExample,
  },
  {
    id: "google-api-key",
    title: "a Google API key",
    anchors: ["AIza"],
    pattern: /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g,
    isReal: isNoExample,
  },
];

export const fileRules: readonly FileRule[] = [
  {
    id: "env-file",
    title: "an .env file with values",
    path: /(?:^|\/)(?:\.env(?:\.(?!(?:[\w.-]*\.)?(?:example|sample|template|dist|defaults|schema|vault)$)[\w.-]+)?|\.kamal\/secrets[\w.-]*)$/,
    // What names another variable or a command holds no value itself; dotenvx encrypts in place.
    line: /^[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=[ \t]*["']?(?!["'\s#$]|encrypted:)\S/,
  },
  {
    id: "npm-credentials",
    title: "an .npmrc with credentials",
    path: /(?:^|\/)\.npmrc$/,
    line: /_(?:authToken|auth|password)[ \t]*=[ \t]*["']?(?![$"'\s])\S/,
  },
  {
    id: "netrc-credentials",
    title: "a .netrc with a password",
    path: /(?:^|\/)[._]netrc$/,
    line: /(?:^|\s)password\s+\S/,
  },
  {
    id: "git-credentials",
    title: "stored git credentials",
    path: /(?:^|\/)\.git-credentials$/,
    line: /:\/\/[^\s:@/]+:[^\s@/]+@/,
  },
  {
    id: "docker-credentials",
    title: "Docker's stored credentials",
    path: /(?:^|\/)(?:\.docker\/config\.json|\.dockercfg|\.dockerconfigjson)$/,
    line: /"(?:auth|identitytoken|password)"\s*:\s*"[^"]+"/,
  },
  {
    id: "kube-credentials",
    title: "a kubeconfig with credentials",
    path: /(?:^|\/)(?:\.kube\/config|kubeconfig(?:\.ya?ml)?|[^/]+\.kubeconfig)$/,
    line: /(?:client-key-data|token|password)"?\s*:\s*["']?[^\s"'$]/,
  },
  {
    id: "pypi-credentials",
    title: "a .pypirc with a password",
    path: /(?:^|\/)\.pypirc$/,
    line: /^[ \t]*password[ \t]*[=:][ \t]*(?![$\s])\S/,
  },
  {
    id: "rails-key",
    title: "the key of Rails' credentials",
    path: /(?:^|\/)config\/(?:master|credentials\/[\w-]+)\.key$/,
    line: /^[0-9a-f]{32,}\s*$/,
  },
];

const anyFileRule = new RegExp(fileRules.map(({ path }) => path.source).join("|"));

/** Whether one of the file rules is for a path: one look, where mostly none of them is. */
export function mayHoldSecret(path: string): boolean {
  return anyFileRule.test(path);
}

/**
 * Other people's packages, wherever package managers put them. They publish keys on purpose: to test with, in their
 * documentation, and API keys by which a client tells who it is.
 */
const thirdParty =
  /(?:^usr\/(?:lib|libexec|share)|(?:^|\/)(?:node_modules|site-packages|dist-packages|gems|vendor(?:ed)?|third_party|pkg\/mod|perl5?|python[23][\d.]*))\//;
const forShow =
  /(?:^|\/)(?:tests?|testing|__tests__|specs?|test[-_]?data|fixtures?|examples?|samples?|demos?|docs?|bench(?:marks?)?|mocks?|idlelib)\/|\.(?:md|markdown|rst|d\.[cm]?ts|map)$/i;

/**
 * Why what looks like a secret at this path is none; undefined where it may be one. Only for what anyone can download:
 * a test key in the project's own files must be marked by its owner.
 */
export function harmlessBecause(rule: string, path: string): string | undefined {
  if (path.startsWith("usr/share/doc/")) return "documentation of a Debian package";
  if (path === "etc/ssl/private/ssl-cert-snakeoil.key") return "the self-signed key of ssl-cert, which nobody trusts";
  const inside = thirdParty.exec(path);
  if (inside === null) return undefined;
  if (rule === "google-api-key") return "a published client's own API key";
  return forShow.test(path.slice(inside.index + inside[0].length))
    ? "a published package's own tests, examples or documentation"
    : undefined;
}
