import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Debian's packages of Node modules are found by require() only.
const pg = createRequire(import.meta.url)("pg");

/** Connections to the app `db` of the same environment. */
export const database = new pg.Pool({
  host: "db",
  port: 5432,
  user: "shop",
  database: "postgres",
  password: readFileSync("/run/secrets/DB_PASSWORD", "utf8").trim(),
  max: 4,
  connectionTimeoutMillis: 5_000,
});

// A connection that the database ends while nobody uses it is made anew when it is needed.
database.on("error", (error) => console.error(`database: ${error.message}`));
