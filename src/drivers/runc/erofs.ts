import { runOrFail } from "../../linux/process.ts";

// Both fixed, so that equal trees give equal bytes. File times later than this one would be clamped to it.
const fileSystemId = "62726f6e-7a65-4c61-8965-726f66733031";
const superblockTime = "4102444800";

/** Makes an image file of a folder; equal folders, file times included, give equal bytes. */
export async function makeErofs(tree: string, image: string): Promise<void> {
  await runOrFail(`make an image of ${tree}`, "mkfs.erofs", ["--quiet", "-U", fileSystemId, image, tree], {
    timeoutMs: 600_000,
    givesWay: true,
    env: { PATH: process.env["PATH"], SOURCE_DATE_EPOCH: superblockTime },
  });
}
