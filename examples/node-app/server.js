import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const version = readFileSync(new URL("version.txt", import.meta.url), "utf8").trim();
const instance = process.env.BRONZE_INSTANCE ?? "no instance";

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  response.setHeader("content-type", "text/plain; charset=utf-8");
  if (pathname === "/") response.end(`Hello from ${version}, ${instance}\n`);
  else if (pathname === "/healthz") response.end("ok\n");
  else if (pathname === "/version") response.end(`${version}\n`);
  else {
    response.statusCode = 404;
    response.end("not found\n");
  }
});

const port = Number(process.env.PORT ?? 8080);
server.listen(port, () => console.log(`version ${version} listens on ${port}`));

// The first process of an instance gets no default handler: without this a stop costs the whole grace period.
process.on("SIGTERM", () => {
  console.log("asked to end");
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
