import { crc32, deflateRawSync } from "node:zlib";

/** A file of an archive; what is said of it can be a lie. */
export interface ZipMember {
  readonly name: string;
  readonly bytes: Buffer;
  readonly claims?: {
    readonly crc?: number;
    readonly size?: number;
    readonly flags?: number;
    readonly method?: number;
  };
}

const packedBytes = new WeakMap<Buffer, Buffer>();

function pack(bytes: Buffer): Buffer {
  const packed = packedBytes.get(bytes) ?? deflateRawSync(bytes);
  packedBytes.set(bytes, packed);
  return packed;
}

/** A zip archive, for tests. @see PKWARE APPNOTE.TXT 4.3 */
export function zipOf(members: readonly ZipMember[]): Buffer {
  const pieces: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes, claims = {} } of members) {
    const packed = pack(bytes);
    const file = Buffer.from(name);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(claims.flags ?? 0, 2);
    fields.writeUInt16LE(claims.method ?? 8, 4);
    fields.writeUInt32LE(claims.crc ?? crc32(bytes), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(claims.size ?? bytes.length, 18);
    fields.writeUInt16LE(file.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), fields, file, packed]);
    const end = Buffer.alloc(14);
    end.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00", "latin1"), fields, end, file);
    pieces.push(local);
    offset += local.length;
  }
  const listed = Buffer.concat(directory);
  const tail = Buffer.alloc(22);
  tail.write("PK\x05\x06", 0, "latin1");
  tail.writeUInt16LE(members.length, 8);
  tail.writeUInt16LE(members.length, 10);
  tail.writeUInt32LE(listed.length, 12);
  tail.writeUInt32LE(offset, 16);
  return Buffer.concat([...pieces, listed, tail]);
}
