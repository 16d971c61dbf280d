import assert from "node:assert/strict";
import fc from "fast-check";
import { ResponseReader } from "../../src/cli/http-response.ts";
import { parseRecord } from "../../src/drivers/haproxy/record.ts";
import { parseRequestLine, TrafficFold } from "../../src/drivers/haproxy/request-log.ts";
import {
  parseOldWorkers,
  parseServersState,
  parseSessions,
  parseShownMap,
  parseStreams,
} from "../../src/drivers/haproxy/tables.ts";
import { parseListening } from "../../src/drivers/runc/facts.ts";
import { instanceResolvers } from "../../src/linux/host-files.ts";
import { joinPartial, parseLogLine } from "../../src/drivers/runc/log-lines.ts";
import { mountLines } from "../../src/drivers/runc/mount-lines.ts";
import { parseMountinfo } from "../../src/linux/mountinfo.ts";
import { resolveUser } from "../../src/linux/user.ts";
import { parseDotenv } from "../../src/model/dotenv.ts";
import { OperatorError } from "../../src/errors/operator-error.ts";
import type { FuzzTarget } from "./target.ts";

const samples = [
  "123 7 shop-production-v1 200 12 -- GET /",
  "123 8 - 503 -1 SC POST /x",
  "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port\n3 b0 1 s1 10.0.0.2 2 0 8080\n",
  "# pxname,svname,scur,addr,\nb0,s1,3,10.0.0.2:8080,\nb0,s2,,,\n",
  "0x55d0c8 shop.example/ b0\n0x55d0c9 * b1\n",
  "# workers\n12 worker 0 0d\n# old workers\n9 worker 1 0d\n# programs\n",
  "0x7f: proto=tcpv4 src=1 fe=web be=b0 srv=s1 ts=00 age=1s\n",
  "36 35 0:31 / /proc\\040x ro,nosuid shared:3 - overlay overlay ro,lowerdir=/a\n",
  "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0000000000000000FFFF00000100007F:0050 0:0 0A\n",
  "2026-08-01T12:00:00.123456789+00:00 stdout F hello\n2026-08-01T12:00:00Z stderr P he",
  "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:\nwheel:x:10:root,app\n",
  '# config\nexport LEVEL=\'info\'  # now\nGREETING="hello\\n\\"you\\"\nEMPTY=\r\n',
  "nameserver 127.0.0.53\nnameserver ::1\nsearch x\n# y\noptions ndots:1\n",
  '{"version":1,"webPort":80,"logPort":1,"backends":64,"slotsEach":16,"lastBackend":-1,"sets":[]}',
];
/** A sample with pieces cut out, doubled or put in. */
const mutated = fc
  .tuple(
    fc.constantFrom(...samples),
    fc.array(
      fc.tuple(
        fc.nat(200),
        fc.nat(20),
        fc.oneof(
          fc.constantFrom("", " ", "\n", ",", ":", "-1", "0x", "\0", "999999999999999999999"),
          fc.string({ unit: "binary", maxLength: 4 }),
        ),
      ),
      { maxLength: 5 },
    ),
  )
  .map(([sample, edits]) =>
    edits.reduce((text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut), sample),
  );

/** These say what is wrong by these errors only. */
function tolerates(parse: () => unknown): void {
  try {
    parse();
  } catch (thrown) {
    assert.ok(thrown instanceof OperatorError || thrown instanceof RangeError, String(thrown));
    assert.doesNotMatch(thrown.message, /call stack/);
  }
}

/** Whatever HAProxy, the kernel, an image's files or a log say, they are read or refused. */
export const linesTarget: FuzzTarget = {
  name: "lines",
  weight: 15,
  property: fc.property(fc.array(mutated, { minLength: 1, maxLength: 4 }), (texts) => {
    const fold = new TrafficFold("fuzz");
    for (const text of texts) {
      const line = parseRequestLine(Buffer.from(text));
      if (line !== undefined) {
        assert.ok(line.pid > 0 && line.number > 0 && line.status >= 0 && line.activeMs >= 0);
        fold.add(line, 0);
      }
      for (const parse of [parseServersState, parseSessions, parseRecord]) tolerates(() => parse(text));
      tolerates(() => resolveUser(text.slice(0, 9), text, text));
      parseShownMap(text);
      parseOldWorkers(text);
      parseStreams(text);
      mountLines(parseMountinfo(text));
      instanceResolvers(text, texts[0]);
      parseListening(text);
      const { entries, problems } = parseDotenv(text);
      const last = text.split("\n").length;
      for (const { line: place } of [...entries, ...problems]) assert.ok(place >= 1 && place <= last, `${place}`);
      const join = joinPartial();
      for (const one of text.split("\n")) join.push(parseLogLine(one));
    }
    fold.check(10_000);
    for (const [, counts] of fold.counts()) assert.ok(Number.isSafeInteger(counts.requests));
  }),
};

const httpPiece = fc.oneof(
  fc.constantFrom(
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "content-length: 5\r\n",
    "content-length: -1\r\n",
    "content-length: 1e3\r\n",
  ),
  fc.constantFrom(
    "transfer-encoding: chunked\r\n",
    "\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "fffffffff\r\n",
    "5;x=y\r\n",
    "\n",
    "HTTP/1.1 204 No\r\n\r\n",
  ),
  fc.string({ unit: "binary-ascii", maxLength: 8 }),
);

/** Whatever answers, the client reads it the same however it is cut into pieces, or refuses it. */
export const httpTarget: FuzzTarget = {
  name: "answers",
  weight: 10,
  property: fc.property(fc.array(httpPiece, { maxLength: 12 }), fc.integer({ min: 1, max: 40 }), (pieces, step) => {
    const bytes = Buffer.from(pieces.join(""), "latin1");
    const read = (size: number): string => {
      const reader = new ResponseReader();
      let body = "";
      try {
        for (let at = 0; at < bytes.length; at += size)
          for (const part of reader.push(bytes.subarray(at, at + size))) body += part.toString("latin1");
        return `${reader.end()} ${reader.status} ${body}`;
      } catch (thrown) {
        assert.ok(thrown instanceof Error && thrown.constructor === Error, String(thrown));
        return `refused ${thrown.message}`;
      }
    };
    assert.equal(read(step), read(bytes.length + 1));
  }),
};
