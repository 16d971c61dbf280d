import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { longestAnswerBytes, longestMeasurementMs } from "../../ports/metrics.ts";

export interface Exchange {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as a form by POST; absent: GET without a body. */
  readonly form?: string;
}

/** An answer, or why there is none. */
export type Exchanged = { readonly status: number; readonly body: string } | { readonly failed: string };

/** One request on a connection of its own; a redirect is an answer like any other. */
export function exchange({ url, headers, form }: Exchange, signal: AbortSignal): Promise<Exchanged> {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  const deadline = AbortSignal.timeout(longestMeasurementMs);
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      resolve({
        failed: deadline.aborted
          ? `no answer within ${longestMeasurementMs / 1000} s`
          : signal.aborted
            ? "it was ended"
            : `cannot be asked: ${error.code ?? "refused"}`,
      });
    const asked = request(
      url,
      {
        method: form === undefined ? "GET" : "POST",
        agent: false,
        signal: AbortSignal.any([signal, deadline]),
        headers: {
          "user-agent": "bronze-analysis",
          accept: "*/*",
          ...(form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
          ...headers,
        },
      },
      (response) => {
        const pieces: Buffer[] = [];
        let bytes = 0;
        response.on("data", (piece: Buffer) => {
          bytes += piece.length;
          if (bytes <= longestAnswerBytes) return void pieces.push(piece);
          resolve({ failed: `the answer is longer than ${longestAnswerBytes} bytes` });
          response.destroy();
        });
        response.once("end", () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString("utf8") }),
        );
        response.once("error", failed);
      },
    );
    asked.once("error", failed);
    asked.end(form);
  });
}
