import { planConfig } from "./config.ts";
import type { Plan, Wishes } from "./proposal.ts";
import { defaultPort } from "./source-hints.ts";

/** A definition for an image that somebody else builds. */
export function planImage(name: string, wishes: Wishes): Plan {
  const start = [wishes.entrypoint, wishes.start].flatMap((one) => (one === null ? [] : [one]));
  const port = wishes.port?.value ?? defaultPort;
  const variables = planConfig(wishes);
  return {
    kind: "image",
    config: variables.config,
    name: null,
    build: { kind: "image", name },
    holdsSources: false,
    port,
    command: null,
    files: [],
    healthPath: null,
    tmpfs: [],
    ignore: null,
    assumed: [
      { what: `the image ${name} is the app`, why: `${wishes.file} builds none` },
      {
        what: `port ${port}`,
        why:
          wishes.port === null
            ? `${wishes.file} names none; instances are told by PORT`
            : `${wishes.port.from} says so`,
      },
    ],
    notCarriedOver: [
      ...start.map(({ from }) => ({
        what: "command",
        where: from,
        advice: "say the whole command, with the image's entrypoint, in run.command",
      })),
      ...variables.notCarriedOver,
    ],
    todo: [],
  };
}
