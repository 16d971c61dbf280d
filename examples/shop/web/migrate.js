import { readFile, readdir } from "node:fs/promises";
import { database } from "./database.js";

// Each file of migrations/ runs once, in order of name, and whole or not at all.
const client = await database.connect();
try {
  await client.query("SELECT pg_advisory_lock(20)");
  await client.query("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)");
  const { rows } = await client.query("SELECT name FROM migrations");
  const done = new Set(rows.map(({ name }) => name));
  for (const name of (await readdir(new URL("migrations/", import.meta.url))).sort()) {
    if (done.has(name)) continue;
    await client.query("BEGIN");
    await client.query(await readFile(new URL(`migrations/${name}`, import.meta.url), "utf8"));
    await client.query("INSERT INTO migrations VALUES ($1)", [name]);
    await client.query("COMMIT");
    console.log(`migrated: ${name}`);
  }
} finally {
  client.release();
  await database.end();
}
