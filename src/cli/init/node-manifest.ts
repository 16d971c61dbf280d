import { OperatorError } from "../../errors/operator-error.ts";

/** What `init` reads in a package.json. */
export interface NodeManifest {
  readonly name: string | null;
  readonly main: string | null;
  readonly engines: string | null;
  readonly volta: string | null;
  /** `pnpm@9.1.0`, without a hash. */
  readonly packageManager: string | null;
  readonly scripts: ReadonlyMap<string, string>;
  readonly dependencies: ReadonlyMap<string, string>;
  readonly devDependencies: ReadonlyMap<string, string>;
  readonly workspaces: boolean;
}

/** @throws {OperatorError} `DEFINITION_INVALID` when it is no JSON object */
export function parseManifest(text: string): NodeManifest {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    throw unreadable("it is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable("it is not an object");
  const fields = value as { readonly [name: string]: unknown };
  const manager = textOf(fields["packageManager"])?.replace(/\+.*$/, "") ?? null;
  return {
    name: textOf(fields["name"]),
    main: textOf(fields["main"]),
    engines: mapOf(fields["engines"]).get("node") ?? null,
    volta: mapOf(fields["volta"]).get("node") ?? null,
    packageManager: manager !== null && /^[a-z]+@[0-9A-Za-z.-]+$/.test(manager) ? manager : null,
    scripts: mapOf(fields["scripts"]),
    dependencies: new Map([...mapOf(fields["dependencies"]), ...mapOf(fields["optionalDependencies"])]),
    devDependencies: mapOf(fields["devDependencies"]),
    workspaces: fields["workspaces"] !== undefined,
  };
}

export const emptyManifest: NodeManifest = parseManifest("{}");

function unreadable(why: string): OperatorError {
  return new OperatorError("DEFINITION_INVALID", `Cannot read "package.json": ${why}`, {
    hint: "correct it, then run `bronze init` again",
  });
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function mapOf(value: unknown): ReadonlyMap<string, string> {
  if (typeof value !== "object" || value === null) return new Map();
  return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}
