import { type Folder, readText } from "./folder.ts";

/** What no image needs and what may hold secrets. */
const common = [
  ".git",
  "**/.env",
  "**/.env.*",
  "**/*.log",
  "**/.DS_Store",
  ".dockerignore",
  ".gitignore",
  ".github",
  ".gitlab-ci.yml",
  ".kamal",
  ".vscode",
  ".idea",
  "bronze.yaml",
  "bronze.lock",
  "Dockerfile*",
  "compose*.y*ml",
  "docker-compose*.y*ml",
];
const privateFile =
  /(^|\/)(id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|key|p12|pfx|jks|kdbx))$|(^|\/)(\.netrc|\.pypirc|credentials\.json|secrets?\.(ya?ml|json))$/;

/** Lines of a .dockerignore for this folder. */
export function ignoreLines(folder: Folder, more: readonly string[]): readonly string[] {
  return [...common, ...more, ...privateFiles(folder)];
}

/** Files that hold private keys or credentials, by name and, where a name says too little, by what is in them. */
function privateFiles(folder: Folder): readonly string[] {
  return folder.files.filter((path) => {
    if (!privateFile.test(path)) return false;
    return !path.endsWith(".pem") || (readText(folder, path) ?? "").includes("PRIVATE KEY");
  });
}

/** Whether the folder's own .dockerignore keeps a name at the top out. */
export function keepsOut(folder: Folder, name: string): boolean {
  return (readText(folder, ".dockerignore") ?? "").split("\n").some((line) => {
    const pattern = line
      .trim()
      .replace(/^(\*\*\/|\.?\/)/, "")
      .replace(/\/(\*\*?)?$/, "");
    if (pattern === "" || pattern.startsWith("#") || pattern.startsWith("!")) return false;
    const expression = pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll(/\*+/g, ".*")
      .replaceAll("?", ".");
    return new RegExp(`^${expression}$`).test(name);
  });
}
