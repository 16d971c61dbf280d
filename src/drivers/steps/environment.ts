/** As images expect it where they say nothing. @see OCI image specification, config.md, "Env" */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * A step's environment: what the request says, and what it must have besides; the same on every machine.
 *
 * @param env `NAME=value` lines; of lines with one name the last counts
 * @param epoch for `SOURCE_DATE_EPOCH`, which many tools take in place of the time
 */
export function stepEnvironment(env: readonly string[], home: string, epoch: number): readonly string[] {
  const values = new Map(env.map((line) => [line.split("=", 1)[0] ?? "", line]));
  const byDefault = (name: string, value: string): void => {
    if (!values.has(name)) values.set(name, `${name}=${value}`);
  };
  byDefault("PATH", defaultPath);
  byDefault("HOME", home);
  byDefault("TZ", "UTC");
  // An image that chooses a locale in any of these ways keeps it.
  if (![...values.keys()].some((name) => name === "LANG" || name.startsWith("LC_"))) byDefault("LANG", "C.UTF-8");
  byDefault("SOURCE_DATE_EPOCH", String(epoch));
  return [...values.values()];
}
