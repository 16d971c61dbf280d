import { createReadStream } from "node:fs";
import type { PushOptions } from "../ports/registry.ts";
import type { Blobs, Descriptor } from "../ports/store.ts";
import { dropBody, type HttpAnswer } from "./http.ts";
import { Passing, registryFailed } from "./refusals.ts";
import type { Session } from "./session.ts";

/** Smaller blobs go in one request of their own. */
const wholeBytes = 4 * 2 ** 20;
/** For registries, or what stands before them, that take no larger requests. */
const pieceBytes = 32 * 2 ** 20;

/** Sends a blob unless the repository has it. @param session may write to the repository */
export async function pushBlob(
  session: Session,
  blob: Descriptor,
  repository: string,
  blobs: Blobs,
  { alsoIn, progress = () => undefined, signal }: PushOptions,
): Promise<void> {
  const action = `push ${blob.digest}`;
  const report = (bytes: number): void => progress({ digest: blob.digest, bytes, of: blob.size });
  const head = await session.insist({
    method: "HEAD",
    to: `/v2/${repository}/blobs/${blob.digest}`,
    // Where to get it is known to those who have it.
    expected: [200, 302, 303, 307, 308, 404],
    action,
  });
  dropBody(head);
  if (head.status !== 404) return;
  const path = await blobs.path(blob.digest);
  const start = async (query: string): Promise<HttpAnswer> => {
    const answer = await session.ask({
      method: "POST",
      to: `/v2/${repository}/blobs/uploads/${query}`,
      headers: { "content-length": "0" },
      expected: [201, 202],
      action,
    });
    dropBody(answer);
    return answer;
  };
  const from = alsoIn?.get(blob.digest);
  const query = from === undefined ? "" : `?${new URLSearchParams({ mount: blob.digest, from }).toString()}`;
  const upload = { at: undefined as URL | undefined, offset: 0, most: blob.size <= wholeBytes ? 0 : blob.size };
  await session.retry(action, async (gotFurther) => {
    const before = upload.offset;
    if (upload.at !== undefined && (await findOffset(session, upload, action)) && upload.offset > before) gotFurther();
    if (upload.at === undefined) {
      const answer = await start(query);
      // It was mounted: nothing is to be sent.
      if (answer.status === 201) return;
      report(0);
      upload.at = session.address(answer.headers.location, action);
      upload.offset = 0;
    }
    while (upload.most > 0 && upload.offset < blob.size) {
      const end = Math.min(blob.size, upload.offset + upload.most);
      const answer = await session.ask({
        method: "PATCH",
        to: upload.at,
        headers: {
          "content-type": "application/octet-stream",
          "content-length": String(end - upload.offset),
          // Docker's own client leaves it out when it sends all at once, so every registry takes that.
          ...(upload.offset === 0 && end === blob.size ? {} : { "content-range": `${upload.offset}-${end - 1}` }),
        },
        body: () => {
          let sent = upload.offset;
          const source = createReadStream(path, { start: sent, end: end - 1, highWaterMark: 1 << 18, signal });
          return source.on("data", (piece) => report((sent += piece.length)));
        },
        expected: [202, 413, 416],
        action,
      });
      dropBody(answer);
      if (answer.status !== 202) {
        if (answer.status === 413 && upload.most > pieceBytes) upload.most = pieceBytes;
        else if (answer.status === 413) throw registryFailed(session.host, action, "it takes no requests of 32 MiB");
        upload.at = undefined;
        throw new Passing(`it answered ${answer.status}`);
      }
      upload.at = session.address(answer.headers.location, action);
      upload.offset = end;
      gotFurther();
    }
    upload.at.searchParams.set("digest", blob.digest);
    const rest = blob.size - upload.offset;
    const answer = await session.ask({
      method: "PUT",
      to: upload.at,
      headers: { "content-type": "application/octet-stream", "content-length": String(rest) },
      ...(rest === 0 ? {} : { body: () => createReadStream(path, { start: upload.offset, signal }) }),
      expected: [201, 204, 404, 416],
      action,
    });
    dropBody(answer);
    if (answer.status >= 400) {
      upload.at = undefined;
      throw new Passing(`it answered ${answer.status}, the upload is gone`);
    }
    report(blob.size);
  });
}

/**
 * Asks how much of an upload has arrived. Some registries, such as Docker's of version 2, give up one that broke within a
 * request: it is begun again.
 *
 * @returns false when it is gone
 */
async function findOffset(
  session: Session,
  upload: { at: URL | undefined; offset: number },
  action: string,
): Promise<boolean> {
  const answer = await session.ask({
    method: "GET",
    to: upload.at ?? "",
    expected: [204, 400, 404, 416],
    action,
  });
  dropBody(answer);
  const last = /^(?:bytes=)?0-([0-9]+)$/.exec(answer.headers["range"] ?? "")?.[1];
  const isThere = answer.status === 204 && last !== undefined;
  upload.at = isThere ? session.address(answer.headers.location, action) : undefined;
  // An upload without a byte says 0-0 too.
  upload.offset = isThere && last !== "0" ? Number(last) + 1 : 0;
  return isThere;
}
