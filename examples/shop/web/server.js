import { createServer } from "node:http";
import { appendFile, readFile } from "node:fs/promises";
import { database } from "./database.js";
import { describeOrder } from "./orders.js";

const uploads = "/srv/uploads/notes.txt";

async function answer(request, body) {
  switch (`${request.method} ${request.url}`) {
    case "GET /healthz":
      await database.query("SELECT 1");
      return "ok\n";
    case "GET /":
      return `${process.env.GREETING} from ${process.env.BRONZE_RELEASE} in ${process.env.BRONZE_ENV}\n`;
    case "GET /orders": {
      const { rows } = await database.query("SELECT item, state FROM orders ORDER BY id");
      return rows.map((row) => `${describeOrder(row)}\n`).join("");
    }
    case "POST /orders":
      await database.query("INSERT INTO orders (item, state) VALUES ($1, 'new')", [body.slice(0, 100)]);
      return "ordered\n";
    case "GET /notes":
      return readFile(uploads, "utf8").catch(() => "");
    case "POST /notes":
      await appendFile(uploads, `${body.slice(0, 1000)}\n`);
      return "noted\n";
    default:
      return undefined;
  }
}

const server = createServer(async (request, response) => {
  try {
    let body = "";
    for await (const piece of request) body += piece;
    const text = await answer(request, body);
    response.writeHead(text === undefined ? 404 : 200, { "content-type": "text/plain" }).end(text ?? "not found\n");
  } catch (error) {
    console.error(error);
    response.writeHead(500, { "content-type": "text/plain" }).end("error\n");
  }
});

server.listen(process.env.PORT);
process.on("SIGTERM", () => server.close(() => void database.end()));
