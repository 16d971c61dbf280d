import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Replaces a file so that after a crash it holds either all of the old bytes or all of the new ones. */
export async function writeDurable(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
