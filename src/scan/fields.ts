/** An object of parsed JSON, whose members may be anything. */
export type Fields = { readonly [key: string]: unknown };

export function asObject(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** What is no array is an empty one. */
export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

export function asText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The texts among the items of an array. */
export function asTexts(value: unknown): readonly string[] {
  return asArray(value).filter((item): item is string => typeof item === "string");
}
