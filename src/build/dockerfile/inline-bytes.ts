import { sha256 } from "../../model/canonical.ts";
import type { LayerBytes } from "../layer/contents.ts";

/** A text as the bytes of a file. */
export function inlineBytes(text: string): LayerBytes & { readonly size: number } {
  const bytes = Buffer.from(text, "utf8");
  const name = sha256(bytes);
  return {
    size: bytes.byteLength,
    known: () => name,
    read: () => (bytes.byteLength === 0 ? [] : [bytes]),
    fill: (target, at) => target.set(bytes, at),
  };
}
