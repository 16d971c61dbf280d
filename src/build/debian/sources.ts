import { runCommand } from "../command.ts";

const aptOptions = ["-o", "APT::Get::List-Cleanup=0"];

/**
 * One-line apt sources for a suite with its updates and security fixes: those this machine is configured with, where
 * it has the suite, else Debian's own.
 */
export async function debianSources(suite: string, signal: AbortSignal): Promise<readonly string[]> {
  const { status, stdout } = await runCommand(
    "apt-get",
    [
      ...aptOptions,
      "indextargets",
      "--format",
      "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(SIGNED_BY)",
      "Created-By: Packages",
    ],
    { signal, timeoutMs: 30_000 },
  );
  const configured = status === 0 ? pickSources(suite, stdout) : [];
  return configured.length > 0 ? configured : defaultSources(suite);
}

export function pickSources(suite: string, targets: string): readonly string[] {
  const components = new Map<string, Set<string>>();
  for (const line of targets.split("\n")) {
    const [uri, release, component] = line.split("\t");
    if (uri === undefined || release === undefined || component === undefined) continue;
    if (!/^https?:\/\/[^\s\]]+$/.test(uri) || ![suite, `${suite}-updates`, `${suite}-security`].includes(release))
      continue;
    const key = `${uri} ${release}`;
    components.set(key, (components.get(key) ?? new Set()).add(component));
  }
  const lines = [...components].map(([key, names]) => `deb ${key} ${[...names].sort().join(" ")}`).sort();
  return lines.some((line) => line.split(" ")[2] === suite) ? lines : [];
}

function defaultSources(suite: string): readonly string[] {
  const main = "http://deb.debian.org/debian";
  if (suite === "sid") return [`deb ${main} sid main`];
  return [
    `deb ${main} ${suite} main`,
    `deb ${main} ${suite}-updates main`,
    `deb http://deb.debian.org/debian-security ${suite}-security main`,
  ];
}
