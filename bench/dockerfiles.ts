import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createBuildCache } from "../src/build/cache.ts";
import { createWorkshop, describeTree, fillProject, type Workshop } from "../src/build/dockerfile/build.suite.ts";
import { openImageTree } from "../src/build/layer/image-tree.ts";
import type { BuildOptions } from "../src/build/options.ts";
import { createStepRunner } from "../src/drivers/steps/runner.ts";
import { mediaTypes } from "../src/image/media-types.ts";
import { dockerfileCases, type DockerfileCase } from "./dockerfiles/cases.ts";
import { stopsOnce } from "./lib/cleanup.ts";
import { startDocker, type Docker } from "./lib/docker.ts";
import type { Bench } from "./lib/figures.ts";
import { needs, require } from "./lib/packages.ts";

interface Built {
  readonly files: readonly string[];
  readonly config: Readonly<Record<string, unknown>>;
}

/** Programs, users, links and files to copy onto. */
const base = [
  "FROM scratch AS bb",
  "COPY busybox /bin/busybox",
  'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
  "RUN mkdir -p /etc /tmp /usr/bin /var && chmod 1777 /tmp && ln -s usr/bin /b2 && ln -s /usr/x /dangling",
  "RUN echo 'web:x:10:20::/:/bin/sh' > /etc/passwd && echo 'staff:x:50:' > /etc/group && echo old > /file && ln -s file /flink",
];
/** What both make for programs while they run, and what only Docker's engine puts into a config. */
const ofTheMachine = /^(proc|sys|dev|etc\/(resolv\.conf|hosts|hostname|mtab)|\.dockerenv)( |\/)/;
const ofTheEngine = /^(Hostname|Domainname|Attach.*|Tty|OpenStdin|StdinOnce|Image|ArgsEscaped)$/;

/** Dockerfiles that Bronze and Debian's BuildKit build, held against each other file by file and setting by setting. */
export const dockerfilesBench: Bench = async ({ say, parts }) => {
  await require(needs.dockerd, needs.docker, needs.busybox);
  const shop: Workshop = createWorkshop(() => Promise.resolve(runner));
  const runner = createStepRunner(shop.cacheDir);
  const docker = await startDocker({ builds: true });
  const stop = stopsOnce(async () => {
    await docker.stop();
    await runner.close();
    shop.remove();
  });
  const rows: { readonly one: DockerfileCase; readonly found: readonly string[] }[] = [];
  try {
    fillProject(shop);
    copyFileSync(needs.busybox.path, join(shop.project, "busybox"));
    shop.write(".dockerignore", "*.log\n!keep.log\nsecret\n");
    shop.write("x.log");
    shop.write("keep.log");
    for (const one of dockerfileCases.filter(({ name }) => parts === undefined || parts.includes(name))) {
      say(one.name);
      const file = [...(one.whole === true ? [] : base), ...one.lines, ""].join("\n");
      const [theirs, ours] = [await byDocker(docker, shop, file, one), await byBronze(shop, file, one)];
      rows.push({ one, found: differences(theirs, ours) });
    }
  } finally {
    await stop();
  }
  const surprising = rows.filter(({ one, found }) => found.length > 0 !== (one.differs !== undefined));
  return {
    figures: [
      { name: "dockerfiles", value: rows.length, unit: "", runs: 1 },
      { name: "different", value: surprising.length, unit: "", runs: 1, goal: { atMost: 0 } },
    ],
    notes: rows.flatMap(({ one, found }) => {
      const word = surprising.some((row) => row.one === one)
        ? "DIFFERENT"
        : found.length > 0
          ? "as meant "
          : "same     ";
      const reason = one.differs === undefined ? "" : `: ${one.differs}`;
      return [
        `${word} ${one.name}${reason}`,
        ...(word === "DIFFERENT" ? found.map((line) => `            ${line}`) : []),
      ];
    }),
    failed: surprising.length > 0,
  };
};

async function byDocker(docker: Docker, shop: Workshop, file: string, one: DockerfileCase): Promise<Built | null> {
  writeFileSync(join(shop.project, "Dockerfile"), file);
  const archive = `${shop.project}.tar`;
  const args = ["--network=none", ...(one.options ?? [])];
  try {
    await docker.docker("build", ...args, "--output", `type=tar,dest=${archive}`, shop.project);
    await docker.docker("build", ...args, "--quiet", "--tag", "case:1", shop.project);
  } catch {
    return null;
  }
  const { digest, size } = await shop.store.write(readFileSync(archive));
  const layer = { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: digest };
  const { signal } = new AbortController();
  const cache = createBuildCache(`${shop.project}.cache`);
  const files = describeTree(await openImageTree([layer], { blobs: shop.store, cache, signal }));
  const [seen] = JSON.parse(await docker.docker("image", "inspect", "case:1")) as readonly [
    { readonly Config: object },
  ];
  return { files, config: { ...seen.Config } };
}

async function byBronze(shop: Workshop, file: string, one: DockerfileCase): Promise<Built | null> {
  try {
    const built = await shop.build(file, optionsOf(one.options ?? []));
    return { files: await shop.files(built), config: { ...(await shop.image(built)).config } };
  } catch {
    return null;
  }
}

function optionsOf(options: readonly string[]): Partial<BuildOptions> {
  const buildArgs = new Map<string, string>();
  let target: string | undefined;
  for (const [i, option] of options.entries()) {
    const value = options[i + 1] ?? "";
    if (option === "--target") target = value;
    if (option === "--build-arg")
      buildArgs.set(value.slice(0, value.indexOf("=")), value.slice(value.indexOf("=") + 1));
  }
  return { buildArgs, ...(target === undefined ? {} : { target }) };
}

function differences(theirs: Built | null, ours: Built | null): readonly string[] {
  if (theirs === null || ours === null)
    return theirs === ours ? [] : [`BuildKit ${theirs === null ? "refuses" : "builds"} it, Bronze does not agree`];
  const kept = (rows: readonly string[]): readonly string[] => rows.filter((row) => !ofTheMachine.test(row));
  const keys = new Set([...Object.keys(theirs.config), ...Object.keys(ours.config)]);
  const settings = [...keys].filter((key) => !ofTheEngine.test(key)).sort();
  return [
    ...kept(theirs.files).flatMap((row) => (ours.files.includes(row) ? [] : [`- ${row}`])),
    ...kept(ours.files).flatMap((row) => (theirs.files.includes(row) ? [] : [`+ ${row}`])),
    ...settings.flatMap((key) => {
      const [a, b] = [theirs, ours].map(({ config }) => JSON.stringify(config[key] || null));
      return a === b ? [] : [`${key}: ${a} | ${b}`];
    }),
  ];
}
