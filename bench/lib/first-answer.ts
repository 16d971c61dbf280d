import { exchange, open } from "../../src/load/exchange.ts";
import { machineMs } from "../../src/load/probe.ts";

/** Longest time a side gets until it answers, in ms. */
const timeoutMs = 60_000;

/**
 * Asks `GET /` every `everyMs`, each time on a new connection, until the answer is 200.
 *
 * @returns when it came, in ms of the machine's monotonic clock
 */
export async function firstAnswer(
  address: { readonly host: string; readonly port: number },
  everyMs: number,
): Promise<number> {
  const request = Buffer.from("GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
  const deadline = machineMs() + timeoutMs;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let done = false;
  const ask = async () => {
    // An address that is not there yet does not refuse: each attempt is given up soon, others are under way.
    const socket = await open(address.host, address.port, 1000);
    if (typeof socket === "string") return;
    socket.on("error", () => socket.destroy());
    const outcome = await exchange(socket, request, { timeoutMs: 5000 });
    socket.destroy();
    if (typeof outcome === "string" || outcome.status !== 200 || done) return;
    done = true;
    clearInterval(timer);
    resolve(machineMs());
  };
  const timer = setInterval(() => {
    if (machineMs() > deadline) {
      done = true;
      clearInterval(timer);
      reject(new Error(`no answer from ${address.host}:${address.port} within ${timeoutMs / 1000} s`));
    } else void ask();
  }, everyMs);
  return await promise;
}
