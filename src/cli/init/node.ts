import { dockerfileText } from "./dockerfile-text.ts";
import type { Folder } from "./folder.ts";
import { buildStage } from "./node-dockerfile.ts";
import { frameworkOutput, type FrameworkOutput } from "./node-frameworks.ts";
import type { NodeManifest } from "./node-manifest.ts";
import { nodeIgnore, packageFacts, packageTasks, readNodeProject, type NodeProject } from "./node-project.ts";
import { planServer } from "./node-server.ts";
import type { Plan, Variables, Wishes } from "./proposal.ts";
import { servedBy, sitePort, siteStage, writtenDockerfile } from "./site.ts";

/** @throws {OperatorError} `NOT_FOUND` when nothing tells how it is started */
export function planNode(folder: Folder, manifest: NodeManifest, wishes: Wishes, env: Variables): Plan {
  const project = readNodeProject(folder, manifest);
  const found = wishes.start === null ? (frameworkOutput(project.folder, project.manifest) ?? null) : null;
  // In a monorepo the place of a standalone server depends on settings; its start script does not.
  const output =
    found?.kind === "server" && found.framework === "Next.js" && project.workspace !== null
      ? { ...found, command: null, parts: null }
      : found;
  return output?.kind === "site" ? planBuiltSite(project, output, wishes) : planServer(project, output, wishes, env);
}

function planBuiltSite(project: NodeProject, output: Extract<FrameworkOutput, { kind: "site" }>, wishes: Wishes): Plan {
  const port = sitePort(wishes);
  const path = project.workspace === null ? output.folder : `${project.workspace.path}/${output.folder}`;
  const lines = [
    ...buildStage(project, project.build, {}),
    "",
    ...siteStage(`/app/${path}/`, { from: "package.json", port, singlePage: output.singlePage, hashed: output.hashed }),
  ];
  return {
    kind: "static",
    name: project.rootManifest.name ?? project.manifest.name,
    holdsSources: false,
    port,
    command: null,
    files: [],
    healthPath: null,
    tmpfs: [],
    notCarriedOver: [],
    build: writtenDockerfile(dockerfileText("package.json", lines)),
    ignore: nodeIgnore(project.root),
    assumed: [
      ...servedBy(port, output.framework, output.why),
      { what: `${project.build ?? "what is there"} fills the folder ${path}`, why: `${output.framework} does so` },
      ...packageFacts(project),
    ],
    todo: [
      ...(project.build === undefined ? ["package.json has no build script; add one that builds the site"] : []),
      ...packageTasks(project),
    ],
  };
}
