// The app of `bronze demo` and of the benches: it answers every kind of request that a deploy must not lose.
// No dependencies and no build step; it runs on Debian's nodejs (18) and later.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { greeting, healthy, mayAnswer, version } from "./behaviour.js";

const port = Number(process.env.PORT ?? 8080);
const instance = process.env.BRONZE_INSTANCE ?? "none";
const names = { "x-version": version, "x-instance": instance };

/** Every body ends with the sha256 of what precedes it, so that a client can tell a whole answer from a broken one. */
const seal = (text) => text + createHash("sha256").update(text).digest("hex");

const page = seal(`${greeting}\nversion ${version}, instance ${instance}\n${".".repeat(512)}\n`);

function answer(response, status, text) {
  response.writeHead(status, { ...names, "content-type": "text/plain", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

/** Sends `count` pieces, one each `everyMs`, and the seal over all of them. */
function pieces(response, count, everyMs) {
  const digest = createHash("sha256");
  response.writeHead(200, { ...names, "content-type": "text/plain" });
  let sent = 0;
  const send = () => {
    const piece = `piece ${sent} of ${count} from ${instance}\n`;
    digest.update(piece);
    response.write(piece);
    sent += 1;
    if (sent < count) return;
    clearInterval(timer);
    response.end(digest.digest("hex"));
  };
  const timer = setInterval(send, everyMs);
  response.on("close", () => clearInterval(timer));
}

function upload(request, response, nonce) {
  const digest = createHash("sha256");
  let bytes = 0;
  request.on("data", (piece) => {
    digest.update(piece);
    bytes += piece.length;
  });
  request.on("end", () => {
    // Written before the answer: whoever counts these lines knows how often an upload was executed.
    process.stdout.write(`upload ${nonce}\n`);
    answer(response, 200, seal(`upload ${nonce}: ${bytes} bytes, ${digest.digest("hex")}\n`));
  });
}

const server = createServer((request, response) => {
  const [, route = "", argument = ""] = request.url.split("/");
  if (route === "healthz") return answer(response, healthy() ? 200 : 503, healthy() ? "ok\n" : "not ready\n");
  if (!mayAnswer()) return answer(response, 500, "this version has a fault\n");
  if (route === "") return answer(response, 200, page);
  if (route === "slow") return pieces(response, 8, 50);
  if (route === "stream") return pieces(response, Math.max(1, Math.round(Number(argument) / 250)), 250);
  if (route === "upload" && request.method === "POST") return upload(request, response, argument);
  answer(response, 404, "not found\n");
});

server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const head = [
    "HTTP/1.1 101 Switching Protocols",
    "upgrade: websocket",
    "connection: upgrade",
    `sec-websocket-accept: ${accept}`,
    `x-version: ${version}`,
    `x-instance: ${instance}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  socket.on("error", () => socket.destroy());
  let received = Buffer.alloc(0);
  socket.on("data", (piece) => {
    received = Buffer.concat([received, piece]);
    while (received.length >= 6) {
      const length = received[1] & 0x7f;
      if (length > 125) return socket.destroy();
      if (received.length < 6 + length) return;
      const mask = received.subarray(2, 6);
      const payload = Buffer.from(received.subarray(6, 6 + length)).map((byte, i) => byte ^ mask[i % 4]);
      socket.write(Buffer.concat([Buffer.from([received[0], length]), payload]));
      if ((received[0] & 0x0f) === 8) return socket.end();
      received = received.subarray(6 + length);
    }
  });
});

server.keepAliveTimeout = 75_000;
server.listen(port, () => console.log(`version ${version} listens on ${port}`));

process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
