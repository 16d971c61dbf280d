import type { Command } from "commander";

/** A command by name; its module is loaded only when it runs. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** One of the ten that `--help` shows. */
  readonly common: boolean;
  readonly load: () => Promise<Command>;
}

/** Every command, in the order help shows them. */
export const commands: readonly CommandEntry[] = [
  {
    name: "init",
    summary: "write bronze.yaml for this folder",
    common: true,
    load: async () => (await import("./commands/init.ts")).initCommand(),
  },
  {
    name: "up",
    summary: "build this folder and put it live",
    common: true,
    load: async () => (await import("./commands/up.ts")).upCommand(),
  },
  {
    name: "status",
    summary: "what is live, how it is, and what a rollback would do",
    common: true,
    load: async () => (await import("./commands/status.ts")).statusCommand(),
  },
  {
    name: "logs",
    summary: "what instances wrote",
    common: true,
    load: async () => (await import("./commands/logs.ts")).logsCommand(),
  },
  {
    name: "releases",
    summary: "every release and what became of it",
    common: true,
    load: async () => (await import("./commands/releases.ts")).releasesCommand(),
  },
  {
    name: "rollback",
    summary: "go back to an earlier release",
    common: true,
    load: async () => (await import("./commands/rollback.ts")).rollbackCommand(),
  },
  {
    name: "deploy",
    summary: "put an artifact of the store live",
    common: true,
    load: async () => (await import("./commands/deploy.ts")).deployCommand(),
  },
  {
    name: "demo",
    summary: "watch the promises hold on this machine",
    common: true,
    load: async () => (await import("./demo.ts")).demoCommand(),
  },
  {
    name: "doctor",
    summary: "what this machine has and lacks",
    common: true,
    load: async () => (await import("./commands/doctor.ts")).doctorCommand(),
  },
  {
    name: "build",
    summary: "make the artifact of this folder",
    common: false,
    load: async () => (await import("./commands/build.ts")).buildCommand(),
  },
  {
    name: "lock",
    summary: "pin what builds take from outside, or move the pins",
    common: false,
    load: async () => (await import("./commands/lock.ts")).lockCommand(),
  },
  {
    name: "pull",
    summary: "bring an image of a registry into the store",
    common: false,
    load: async () => (await import("./commands/pull.ts")).pullCommand(),
  },
  {
    name: "push",
    summary: "put an artifact of the store into a registry",
    common: false,
    load: async () => (await import("./commands/push.ts")).pushCommand(),
  },
  {
    name: "save",
    summary: "write artifacts of the store as one archive",
    common: false,
    load: async () => (await import("./commands/save.ts")).saveCommand(),
  },
  {
    name: "import",
    summary: "take an OCI layout or archive into the store",
    common: false,
    load: async () => (await import("./commands/import.ts")).importCommand(),
  },
  {
    name: "rebuild",
    summary: "make an artifact again from its provenance, to the bit",
    common: false,
    load: async () => (await import("./commands/rebuild.ts")).rebuildCommand(),
  },
  {
    name: "provenance",
    summary: "how an artifact was made",
    common: false,
    load: async () => (await import("./commands/provenance.ts")).provenanceCommand(),
  },
  {
    name: "sbom",
    summary: "what an artifact is made of",
    common: false,
    load: async () => (await import("./commands/sbom.ts")).sbomCommand(),
  },
  {
    name: "history",
    summary: "every event, from the ledger",
    common: false,
    load: async () => (await import("./commands/history.ts")).historyCommand(),
  },
  {
    name: "config",
    summary: "show and override what instances are configured with",
    common: false,
    load: async () => (await import("./commands/config.ts")).configCommand(),
  },
  {
    name: "promote",
    summary: "release what is proven in the environment before",
    common: false,
    load: async () => (await import("./commands/promote.ts")).promoteCommand(),
  },
  {
    name: "diff",
    summary: "in what two environments differ",
    common: false,
    load: async () => (await import("./commands/diff.ts")).diffCommand(),
  },
  {
    name: "run",
    summary: "run a command in a one-off instance",
    common: false,
    load: async () => (await import("./commands/run.ts")).runCommand(),
  },
  {
    name: "secret",
    summary: "passwords and keys: encrypted, by version, never shown",
    common: false,
    load: async () => (await import("./commands/secret.ts")).secretCommand(),
  },
  {
    name: "rollout",
    summary: "how far a rollout is; pause, resume, complete or abort it",
    common: false,
    load: async () => (await import("./commands/rollout.ts")).rolloutCommand(),
  },
  {
    name: "why",
    summary: "what was decided about a release, on which numbers",
    common: false,
    load: async () => (await import("./commands/why.ts")).whyCommand(),
  },
  {
    name: "volume",
    summary: "what instances keep: volumes and their snapshots",
    common: false,
    load: async () => (await import("./commands/volume.ts")).volumeCommand(),
  },
  {
    name: "scale",
    summary: "change the number of instances, without a release",
    common: false,
    load: async () => (await import("./commands/scale.ts")).scaleCommand(),
  },
  {
    name: "down",
    summary: "take an app down; ledger, artifacts and volumes stay",
    common: false,
    load: async () => (await import("./commands/down.ts")).downCommand(),
  },
  {
    name: "serve",
    summary: "run the daemon in the foreground",
    common: false,
    load: async () => (await import("./commands/serve.ts")).serveCommand(),
  },
  {
    name: "install",
    summary: "have systemd start the daemon at boot",
    common: false,
    load: async () => (await import("./commands/install.ts")).installCommand(),
  },
  {
    name: "attest",
    summary: "sign a statement about an artifact",
    common: false,
    load: async () => (await import("./commands/attest.ts")).attestCommand(),
  },
  {
    name: "verify",
    summary: "whether an artifact and all that is said about it hold",
    common: false,
    load: async () => (await import("./commands/verify.ts")).verifyCommand(),
  },
  {
    name: "key",
    summary: "the keys that sign what is built here",
    common: false,
    load: async () => (await import("./commands/key.ts")).keyCommand(),
  },
  {
    name: "revoke",
    summary: "block an artifact or base image, and all that was made from it",
    common: false,
    load: async () => (await import("./commands/revoke.ts")).revokeCommand(),
  },
  {
    name: "audit",
    summary: "verify the ledger's hash chain",
    common: false,
    load: async () => (await import("./commands/audit.ts")).auditCommand(),
  },
  {
    name: "scan",
    summary: "known vulnerabilities of an artifact's packages, and their licences",
    common: false,
    load: async () => (await import("./commands/scan.ts")).scanCommand(),
  },
  {
    name: "completion",
    summary: "completion for bash, zsh or fish",
    common: false,
    load: async () => (await import("./commands/completion.ts")).completionCommand(),
  },
];
