import { connect } from "node:net";
import { OperatorError } from "../../errors/operator-error.ts";

const largestAnswerBytes = 16 * 1024 * 1024;

/**
 * Sends one line to a unix socket and reads the answer to its end. One connection each: on a shared one a client that
 * loses step takes another command's answer for its own.
 *
 * @throws {OperatorError} `ROUTER_FAILED` when nobody answers, the answer is empty or does not end in time
 */
export function ask(socketPath: string, line: string, timeoutMs = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const socket = connect(socketPath);
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(
        new OperatorError("ROUTER_FAILED", `Cannot ask the router "${line.slice(0, 60)}"`, {
          hint: "see router.log in the log folder",
          cause,
        }),
      );
    };
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    socket.on("error", fail);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > largestAnswerBytes) fail(new Error(`answer longer than ${largestAnswerBytes} bytes`));
    });
    socket.on("end", () => {
      if (bytes === 0) return fail(new Error("empty answer"));
      socket.destroy();
      resolve(Buffer.concat(chunks).toString());
    });
    socket.write(`${line}\n`);
  });
}
