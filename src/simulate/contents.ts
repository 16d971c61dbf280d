import { sha256, type Digest } from "../model/canonical.ts";
import type { Content } from "../model/content.ts";
import { parseAppName, parseEnvironmentName } from "../model/names.ts";
import type { Story, Traits } from "./story.ts";

/** The one app of a run, and its environment. */
export const app = parseAppName("shop");
export const environment = parseEnvironmentName("production");
/** Where some contents answer before they go live. */
export const previewHost = "preview.example";
export const asked = { app, environment, who: "ada", why: "" };

/** More contents than any story has. */
const artifacts: readonly Digest[] = Array.from({ length: 16 }, (_, index) => sha256(`content ${index}`));
const indexes = new Map(artifacts.map((digest, index) => [digest, index]));

export function artifactOf(content: number): Digest {
  const digest = artifacts[content];
  if (digest === undefined) throw new RangeError(`no content ${content}`);
  return digest;
}

export function contentIndex({ artifact }: Pick<Content, "artifact">): number {
  return indexes.get(artifact) ?? 0;
}

/** What instances of a content do. */
export function traitsOf(story: Story, content: Pick<Content, "artifact">): Traits {
  const traits = story.contents[contentIndex(content)];
  if (traits === undefined) throw new RangeError("a content that the story does not have");
  return traits;
}
