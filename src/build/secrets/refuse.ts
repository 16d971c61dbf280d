import { OperatorError } from "../../errors/operator-error.ts";
import { fromBytePath, toBytePath, type BytePath } from "../../image/tar-entry.ts";
import { shorten } from "../../image/difference.ts";
import { layerInstructions } from "../../image/oci.ts";
import { canonicalJson } from "../../model/canonical.ts";
import type { SecretAllowance } from "../../model/definition.ts";
import { nearestName } from "../../model/nearest.ts";
import type { Blobs } from "../../ports/store.ts";
import { isProxyArgument } from "../dockerfile/arguments.ts";
import type { ImageState } from "../image-state.ts";
import { globSource } from "../layer/ignore.ts";
import { contentRules, fileRules } from "./rules.ts";
import { scanLayer, type LayerScan } from "./scan-layer.ts";
import { isValueRule, scanText } from "./scanner.ts";

/** A secret in what a build made. */
export interface FoundSecret {
  /** Of the file in the image, or `ENV NAME`, `LABEL NAME`, `HISTORY`. */
  readonly path: string;
  readonly rule: string;
  /** From 1; of files. */
  readonly line?: number;
  /** From 1, and the instruction that made it; of files and of history. */
  readonly layer?: number;
  readonly instruction?: string;
}

/** What of a build is published after all. */
export interface SecretsVerdict {
  /** Marked false positives, with their reasons; nothing where there are none. */
  readonly annotations: { readonly [name: string]: string };
  readonly warnings: readonly string[];
}

const mostTold = 20;
const titles: ReadonlyMap<string, string> = new Map(
  [...contentRules, ...fileRules].map(({ id, title }) => [id, title]),
);

/**
 * Looks for secrets in what this build made: its layers, its instructions in the history, its variables and labels.
 * What the base has is its makers'.
 *
 * @throws {OperatorError} `SECRET_FOUND` naming layer, path, line and rule of each that is not marked, never the secret;
 * `DEFINITION_INVALID` for a mark of a rule that does not exist
 */
export async function refuseSecrets(
  image: ImageState,
  allowances: readonly SecretAllowance[],
  scan: LayerScan & { readonly blobs: Blobs },
): Promise<SecretsVerdict> {
  allowances.forEach(checkRule);
  const found = [...(await inLayers(image, scan)), ...inConfig(image, scan)];
  const used = new Set<SecretAllowance>();
  const refused = found.filter((secret) => {
    const mark = allowances.find((one) => allows(one, toBytePath(secret.path), secret.rule));
    if (mark !== undefined) used.add(mark);
    return mark === undefined;
  });
  if (refused.length > 0) throw secretsFound(refused);
  const marks = allowances.filter((one) => used.has(one)).map(({ path, rule, reason }) => ({ path, rule, reason }));
  return {
    annotations: marks.length === 0 ? {} : { "bronze.secrets.allowed": canonicalJson(marks) },
    warnings: [
      ...allowances
        .filter((one) => !used.has(one))
        .map(
          ({ path, rule }) =>
            `build.allowSecrets: nothing at ${path} breaks the rule ${rule} any more; take the mark out`,
        ),
      ...suspiciousNames(image),
    ],
  };
}

async function inLayers(
  image: ImageState,
  scan: LayerScan & { readonly blobs: Blobs },
): Promise<readonly FoundSecret[]> {
  const instructions = layerInstructions(image.history);
  const found: FoundSecret[] = [];
  for (const [index, layer] of image.layers.entries()) {
    if (index < (image.base?.layers ?? 0)) continue;
    for (const { path, rule, line } of await scanLayer(scan.blobs, layer, scan))
      found.push({
        path: `/${fromBytePath(path)}`,
        rule,
        line,
        layer: index + 1,
        instruction: withoutSecrets((instructions[index] ?? "").replace(/ # buildkit$/, ""), scan),
      });
  }
  return found;
}

function inConfig(image: ImageState, { values }: Pick<LayerScan, "values">): readonly FoundSecret[] {
  const own = image.history.slice(image.base?.history ?? 0);
  const texts: (readonly [path: string, text: string])[] = [
    ...variablesOf(image).map(([name, value]) => [`ENV ${name}`, value] as const),
    ...Object.entries(image.config.Labels ?? {})
      .filter(([name, value]) => image.base?.config.Labels?.[name] !== value)
      .map(([name, value]) => [`LABEL ${name}`, value] as const),
    ...own.map(({ created_by: instruction = "" }) => ["HISTORY", instruction] as const),
  ];
  const found = texts.flatMap(([path, text]) =>
    scanText(text, values).map((rule): FoundSecret => ({
      path,
      rule,
      ...(path === "HISTORY" ? { instruction: `${firstWord(text)} …` } : {}),
    })),
  );
  // Instructions that set variables and labels are history too.
  const settings = new Set(found.filter(({ path }) => path !== "HISTORY").map(({ rule }) => rule));
  return found.filter(({ path, rule }) => path !== "HISTORY" || !settings.has(rule));
}

/** An instruction to be told of; only its first word where the rest would tell a secret. */
function withoutSecrets(instruction: string, { values }: Pick<LayerScan, "values">): string {
  return scanText(instruction, values).length === 0 ? shorten(instruction) : `${firstWord(instruction)} …`;
}

function firstWord(text: string): string {
  return shorten(/^\S*/.exec(text)?.[0] ?? "");
}

/** Variables that this build set, and not its base. */
function variablesOf({ config, base }: ImageState): readonly (readonly [name: string, value: string])[] {
  const before = new Set(base?.config.Env ?? []);
  return (config.Env ?? [])
    .filter((entry) => !before.has(entry))
    .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]);
}

const secretName =
  /(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|SECRET_?KEY|ACCESS_?KEY|CREDENTIALS?)$/i;

/** Whether what is called so is to be kept to oneself: passwords, keys, and proxies, whose addresses may hold passwords. */
export function hasSecretName(name: string): boolean {
  return secretName.test(name) || isProxyArgument(name);
}

function suspiciousNames(image: ImageState): readonly string[] {
  const isSecret = ([name, value]: readonly [name: string, value: string]): boolean =>
    secretName.test(name) && value !== "";
  const named = new Set(
    argumentsOf(image)
      .filter(isSecret)
      .map(([name]) => name),
  );
  return [
    ...variablesOf(image)
      .filter(isSecret)
      .map(
        ([name]) =>
          `the variable ${name} has a value in the image, where everybody with the image can read it: leave it out there and set it for the environment`,
      ),
    ...[...named].map(
      (name) =>
        `the value of the build argument ${name} is in the image's history, where everybody with the image can read it: hand it over with --secret`,
    ),
  ];
}

/** Build arguments whose values the history tells: `ARG NAME=VALUE`, and before a command `|1 NAME=VALUE`. */
function argumentsOf({ history, base }: ImageState): readonly (readonly [name: string, value: string])[] {
  return history.slice(base?.history ?? 0).flatMap(({ created_by: line = "" }) => {
    const told = /^ARG (.*)$|^RUN \|\d+ (.*)$/s.exec(line);
    const words = (told?.[1] ?? told?.[2] ?? "").split(/\s+/).slice(0, told?.[1] === undefined ? undefined : 1);
    return words.flatMap((word): (readonly [string, string])[] => {
      const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(word);
      return match === null ? [] : [[match[1] ?? "", (match[2] ?? "").replace(/^["']|["']$/g, "")]];
    });
  });
}

function secretsFound(found: readonly FoundSecret[]): OperatorError {
  const lines = found.slice(0, mostTold).map(describeSecret);
  if (found.length > mostTold) lines.push(`and ${found.length - mostTold} more`);
  return new OperatorError(
    "SECRET_FOUND",
    `Cannot publish the artifact: ${found.length === 1 ? "a secret is" : `${found.length} secrets are`} in what this build made`,
    {
      hint: [
        "keep it out with .dockerignore, or hand it to a step by RUN --mount=type=secret; change a secret that was shared before",
        'if it is none, mark it with the reason: build: { allowSecrets: [{ path: PATH, rule: RULE, reason: "why" }] }',
      ].join("\n"),
      cause: lines.join("\n"),
      details: { secrets: found.slice(0, mostTold) },
    },
  );
}

function describeSecret({ path, rule, line, layer, instruction }: FoundSecret): string {
  const title = isValueRule(rule) ? "the value of a build secret" : (titles.get(rule) ?? rule);
  const place = line === undefined ? shorten(path) : `${shorten(path)}, line ${line}`;
  const maker = instruction === undefined ? "" : `; ${layer === undefined ? "" : `layer ${layer}, `}${instruction}`;
  return `${place}: ${title} (rule ${rule}${maker})`;
}

/** Whether a finding is marked as none. @param path from the root of the image, as bytes */
export function isAllowed(path: BytePath, rule: string, allowances: readonly SecretAllowance[]): boolean {
  return allowances.some((one) => allows(one, path, rule));
}

function allows(one: SecretAllowance, path: BytePath, rule: string): boolean {
  return one.rule === rule && pathPattern(one.path).test(path);
}

/** As in .dockerignore: a folder covers what is in it. */
function pathPattern(path: string): RegExp {
  const glob = globSource(toBytePath(path.replace(/\/+$/, "")));
  return new RegExp(`^${/^(?:\/|ENV |LABEL |HISTORY$)/.test(path) ? "" : "/"}${glob}(?:/.*)?$`, "s");
}

function checkRule({ rule }: SecretAllowance): void {
  if (titles.has(rule) || isValueRule(rule)) return;
  const near = nearestName(rule, [...titles.keys()]);
  throw new OperatorError(
    "DEFINITION_INVALID",
    `Cannot take the mark of build.allowSecrets: there is no rule "${rule}"`,
    {
      hint: near === undefined ? `rules are ${[...titles.keys()].join(", ")}` : `did you mean ${near}?`,
    },
  );
}
