import { OperatorError } from "../errors/operator-error.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

const rows = (text: string): readonly (readonly string[])[] => text.split("\n").map((line) => line.split(":"));
const isNumber = (text: string): boolean => /^[0-9]{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1;

/**
 * Resolves an image's `user[:group]` with the image's own passwd and group files, as other engines do: a user without a
 * group gets the primary one and all in which it is a member.
 *
 * @throws {OperatorError} `RUNTIME_FAILED` for a name that the image does not know
 */
export function resolveUser(spec: string, passwd: string, group: string): ResolvedUser {
  const [name = "", groupName] = (spec === "" ? "0" : spec).split(":", 2);
  const entry =
    rows(passwd).find((row) => row[0] === name) ??
    (isNumber(name) ? rows(passwd).find((row) => row[2] === String(Number(name))) : undefined);
  const uid = isNumber(name) ? Number(name) : Number(entry?.[2] ?? unknown("user", name));
  const home = entry?.[5] || "/";
  if (groupName !== undefined) {
    const found = rows(group).find((row) => row[0] === groupName)?.[2];
    const gid = isNumber(groupName) ? Number(groupName) : Number(found ?? unknown("group", groupName));
    return { uid, gid, additionalGids: [], home };
  }
  const gid = Number(entry?.[3] ?? 0);
  const login = entry?.[0];
  const additionalGids = rows(group)
    .filter((row) => login !== undefined && (row[3] ?? "").split(",").includes(login))
    .map((row) => Number(row[2]))
    .filter((id) => Number.isInteger(id) && id !== gid);
  return { uid, gid, additionalGids: [...new Set(additionalGids)].sort((a, b) => a - b), home };
}

function unknown(kind: string, name: string): never {
  throw new OperatorError("RUNTIME_FAILED", `Cannot run as ${kind} "${name}": the image has none of that name`, {
    hint: `use a number, or add the ${kind} to the image's /etc/${kind === "user" ? "passwd" : "group"}`,
  });
}
