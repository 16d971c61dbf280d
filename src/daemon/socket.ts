import { execFile } from "node:child_process";
import { chmodSync, chownSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { diskTrouble } from "../errors/disk.ts";
import type { Places } from "../model/places.ts";

/** Takes requests on the state folder's socket, for root and the group `bronze`. Its ledger must be held. */
export async function listen(server: FastifyInstance, places: Places): Promise<void> {
  // The ledger's lock says that no other daemon of this folder lives: a socket that is there is a leftover.
  if (!(await answers(places.socket))) rmSync(places.socket, { force: true });
  await server.listen({ path: places.socket });
  chmodSync(places.socket, 0o660);
  const group = await groupId("bronze");
  if (group !== undefined) chownSync(places.socket, 0, group);
  try {
    writeFileSync(pidFile(places), `${process.pid}\n`);
  } catch (error) {
    // The file is for people; a full disk must not keep the daemon from serving.
    if (diskTrouble(error) === undefined) throw error;
  }
}

/** Takes away what `listen` made. */
export function forgetSocket(places: Places): void {
  rmSync(places.socket, { force: true });
  rmSync(pidFile(places), { force: true });
}

/** For people, and for whoever looks for leftovers. */
export function pidFile(places: Places): string {
  return join(places.run, "bronze.pid");
}

/** Whether somebody listens on a socket. */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.destroy();
      resolve(true);
    });
    connection.once("error", () => resolve(false));
  });
}

function groupId(name: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    execFile("getent", ["group", name], (error, stdout) => {
      const id = error === null ? Number(stdout.split(":")[2]) : Number.NaN;
      resolve(Number.isInteger(id) ? id : undefined);
    });
  });
}
