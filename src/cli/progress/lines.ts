import { StringDecoder } from "node:string_decoder";
import { stripVTControlCharacters } from "node:util";
import { printableLine } from "../../errors/redact.ts";

/** Longest line that is kept together, in UTF-16 code units. */
const mostLength = 16 * 1024;

/** A program's output as lines that are safe to print; of a line that was drawn over by "\r" the last state counts. */
export interface LineReader {
  add(bytes: Buffer): readonly string[];
  /** The last line, where it has no end. */
  end(): readonly string[];
}

export function createLineReader(): LineReader {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  const take = (text: string): readonly string[] => {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    while (rest.length > mostLength) {
      lines.push(rest.slice(0, mostLength));
      rest = rest.slice(mostLength);
    }
    return lines.map(cleanLine);
  };
  return {
    add: (bytes) => take(decoder.write(bytes)),
    end() {
      const lines = [...take(decoder.end()), ...(rest === "" ? [] : [cleanLine(rest)])];
      rest = "";
      return lines;
    },
  };
}

function cleanLine(text: string): string {
  const shown = text.replace(/\r+$/, "");
  const last = shown.slice(shown.lastIndexOf("\r") + 1);
  return printableLine(stripVTControlCharacters(last).replaceAll("\t", "    "));
}
