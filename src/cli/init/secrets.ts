const secretName =
  /SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|APIKEY|KEY$|KEY_|^KEY|DSN$|(^|_)PASS(_|$)|PWD|SALT|AUTH|COOKIE|SIGNATURE|WEBHOOK|CERT/i;
const knownShape =
  /-----BEGIN|:\/\/[^/\s]*@|\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk[-_]|rk_|pk_live|AKIA|ASIA|AIza|eyJ[A-Za-z0-9_-]{8}|npm_|hvs\.|dop_v1_|SG\.)|[?&](key|token|password|sig|signature|access_key)=/i;

/**
 * Whether a variable may hold a secret, by its name or by the shape of its value. In doubt it does: a harmless value that
 * is only named costs a line of typing.
 */
export function mayBeSecret(name: string, value: string): boolean {
  return secretName.test(name) || hasSecretShape(value);
}

/** Whether a text looks like a key, a token or a URL with credentials. */
export function hasSecretShape(value: string): boolean {
  return knownShape.test(value) || value.split(/[\s,;:/=.?&]+/).some(isRandom);
}

/** Whether a command's arguments hold a secret: `--password=x`, `-e TOKEN=x`, a URL with credentials. */
export function commandMayHoldSecret(text: string): boolean {
  if (hasSecretShape(text)) return true;
  return [...text.matchAll(/(?:^|[\s"'])(?:--?([A-Za-z][\w-]*)[= ]\s*|([A-Za-z_]\w*)=)(?=(\S+))/g)].some(
    ([, option, variable, value = ""]) =>
      /SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|API[-_]?KEY/i.test(option ?? variable ?? "") && !/^["']?\$/.test(value),
  );
}

/** Long, of letters and digits mixed: no word, number, path or version. */
function isRandom(word: string): boolean {
  return word.length >= 20 && /[0-9]/.test(word) && /[A-Za-z]/.test(word) && /^[A-Za-z0-9_+-]+$/.test(word);
}
