import { createHash, randomBytes } from "node:crypto";

/** RFC 6455, section 1.3. */
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** @returns what the server must send as Sec-WebSocket-Accept for a key */
export function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + acceptSuffix)
    .digest("base64");
}

export const opcodes = { text: 1, close: 8 } as const;

/** One masked frame, as clients must send them; payload of at most 125 bytes. @see RFC 6455, section 5.2 */
export function clientFrame(opcode: number, payload: string | Buffer): Buffer {
  const data = Buffer.from(payload as string);
  if (data.length > 125) throw new RangeError("a frame of the load client carries at most 125 bytes");
  const mask = randomBytes(4);
  const frame = Buffer.alloc(6 + data.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | data.length;
  mask.copy(frame, 2);
  for (let i = 0; i < data.length; i += 1) frame[6 + i] = (data[i] ?? 0) ^ (mask[i % 4] ?? 0);
  return frame;
}

/** The first whole unmasked frame of a short payload and what follows it; undefined while more must come. */
export function readFrame(bytes: Buffer): { opcode: number; payload: string; rest: Buffer } | undefined {
  if (bytes.length < 2) return undefined;
  const length = (bytes[1] ?? 0) & 0x7f;
  if (length > 125) return { opcode: -1, payload: "", rest: Buffer.alloc(0) };
  if (bytes.length < 2 + length) return undefined;
  return {
    opcode: (bytes[0] ?? 0) & 0x0f,
    payload: bytes.toString("utf8", 2, 2 + length),
    rest: bytes.subarray(2 + length),
  };
}
