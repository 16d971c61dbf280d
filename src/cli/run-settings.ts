import type { ImageFacts } from "../build/options.ts";
import { defaultRunSettings, type RunSettings } from "../model/content.ts";
import type { DefinedRunSettings } from "../model/definition.ts";

/** What an image says that a definition may leave open, or that means something else here. */
export type ImageWishes = Pick<ImageFacts, "exposedPorts" | "health" | "volumes">;

/** The settings of a release: what the definition says, else what the image says, else the defaults. */
export function settingsFor(defined: DefinedRunSettings, image: ImageWishes): RunSettings {
  const port = defined.port ?? image.exposedPorts[0] ?? defaultRunSettings.port;
  const { tcp } = defined.health;
  const asked = tcp === true ? undefined : healthAt(image, port);
  const { deadlineMs } = defaultRunSettings.health;
  return {
    ...defined,
    port,
    health: {
      ...(tcp === undefined ? {} : { tcp }),
      path: defined.health.path ?? asked?.path ?? defaultRunSettings.health.path,
      deadlineMs: defined.health.deadlineMs ?? Math.max(deadlineMs, asked?.startMs ?? 0),
    },
  };
}

/** What of the image is not carried over, each in a sentence. */
export function settingNotes(defined: DefinedRunSettings, image: ImageWishes): readonly string[] {
  const { port } = settingsFor(defined, image);
  const { health } = image;
  const notes: string[] = [];
  const isAsked = defined.health.path !== null || defined.health.tcp === true;
  if (!isAsked && health?.kind === "command")
    notes.push(
      `HEALTHCHECK ${health.command.slice(0, 200)} is not carried over: instances are asked over HTTP; name a path in run.health.path`,
    );
  if (!isAsked && health?.kind === "http" && healthAt(image, port) === undefined)
    notes.push(
      `HEALTHCHECK asks port ${health.port}, requests go to ${port}: name a path of that one in run.health.path`,
    );
  const writable = ["/tmp", ...defined.tmpfs, ...Object.values(defined.volumes ?? {}).map(({ path }) => path)];
  for (const path of image.volumes)
    if (!writable.some((place) => path === place || path.startsWith(`${place}/`)))
      notes.push(
        `VOLUME ${path} is no writable place here: name it under run.volumes where the app keeps data there, under run.tmpfs where it may be lost`,
      );
  return notes;
}

function healthAt(
  { health }: ImageWishes,
  port: number,
): Extract<typeof health, { readonly kind: "http" }> | undefined {
  return health?.kind === "http" && (health.port === null || health.port === port) ? health : undefined;
}
