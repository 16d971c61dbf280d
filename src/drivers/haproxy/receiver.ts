import { createSocket, type Socket } from "node:dgram";
import { OperatorError } from "../../errors/operator-error.ts";

const receiveBufferBytes = 4 * 1024 * 1024;

export interface LogReceiver {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Takes datagrams on loopback.
 *
 * @param port the one used before, so that the router need not be told a new one; 0 or a taken one: any free one
 */
export async function openReceiver(port: number, onDatagram: (bytes: Buffer) => void): Promise<LogReceiver> {
  const socket = (await bind(port)) ?? (await bind(0));
  if (socket === undefined) {
    throw new OperatorError("ROUTER_FAILED", "Cannot open a port for the router's request log", {
      hint: "see whether UDP ports on 127.0.0.1 are free",
    });
  }
  socket.on("message", onDatagram);
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function bind(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket({ type: "udp4", recvBufferSize: receiveBufferBytes });
    socket.once("error", () => {
      socket.close();
      resolve(undefined);
    });
    socket.bind(port, "127.0.0.1", () => {
      socket.removeAllListeners("error");
      // A datagram that cannot be received is seen as a missing number; the socket itself stays open.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}
