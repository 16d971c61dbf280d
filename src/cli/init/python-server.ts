import { parseCommandLine, portOfCommand } from "./command-line.ts";
import { type Folder, hasFile, readText } from "./folder.ts";
import type { PythonProject } from "./python-project.ts";
import type { StartLine } from "./proposal.ts";
import { lineAt } from "./text.ts";

/** How a Python project is started. */
export interface PythonStart {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly from: string;
  readonly viaShell: boolean;
  /** The port it listens on when nothing says otherwise; null: its source tells. */
  readonly port: number | null;
  /** A server that the project does not name: a requirement for pip. */
  readonly installs: string | null;
  /** The file that python runs, or that the app is in. */
  readonly program: string | undefined;
  /** Folder that modules are looked for in, besides /app. */
  readonly sourceFolder: string | null;
  readonly django: boolean;
}

/** Servers that are brought along where a project has none; these versions are what was tried. */
const gunicorn = "gunicorn==26.2.0";
const uvicorn = "uvicorn==0.54.0";
const programs = ["main.py", "app.py", "server.py", "run.py", "wsgi.py", "__main__.py", "src/main.py", "src/app.py"];

/** @param wish how another tool's file says that it is started */
export function pythonStart(
  folder: Folder,
  project: PythonProject,
  sources: readonly string[],
  wish: StartLine | null,
  port: number,
): PythonStart | undefined {
  if (wish !== null) return fromLine(wish, port);
  const has = (name: string): boolean => project.dependencies.has(name);
  const plain = { env: {}, viaShell: false, sourceFolder: null, django: false } as const;
  const django = djangoModule(folder);
  if (django !== undefined) {
    const words = ["gunicorn", `${django.module}.wsgi:application`, "--bind", `0.0.0.0:${port}`];
    const installs = has("gunicorn") ? null : gunicorn;
    return { ...plain, words, from: django.from, port: 8000, installs, program: "manage.py", django: true };
  }
  const found = findApp(folder, sources);
  if (found !== undefined) {
    const { module, sourceFolder } = moduleOf(found.file);
    const common = { ...plain, from: found.from, program: found.file, sourceFolder, port: 8000 };
    const name = `${module}:${found.name}`;
    if (found.kind === "wsgi")
      return {
        ...common,
        words: ["gunicorn", name, "--bind", `0.0.0.0:${port}`],
        installs: has("gunicorn") ? null : gunicorn,
      };
    const words =
      has("hypercorn") && !has("uvicorn")
        ? ["hypercorn", name, "--bind", `0.0.0.0:${port}`]
        : ["uvicorn", name, "--host", "0.0.0.0", "--port", String(port)];
    // "fastapi[standard]" brings uvicorn.
    const brought = has("uvicorn") || has("hypercorn") || bringsUvicorn(folder);
    return { ...common, words, installs: brought ? null : uvicorn };
  }
  const program = programs.find((name) => hasFile(folder, name));
  if (program === undefined) return undefined;
  return { ...plain, words: ["python3", program], from: "its name", port: null, installs: null, program };
}

function fromLine({ line, from }: StartLine, port: number): PythonStart {
  const parsed = typeof line === "string" ? parseCommandLine(line, port) : { env: [], words: line, rest: "" };
  const words = parsed.words ?? ["/bin/sh", "-c", parsed.rest];
  return {
    words,
    env: Object.fromEntries(parsed.env),
    from,
    viaShell: parsed.words === null,
    // Gunicorn takes what PORT says, whatever it is.
    port: portOfCommand(typeof line === "string" ? line : line.join(" ")) ?? (words[0] === "gunicorn" ? 8000 : null),
    installs: null,
    program: words.find((word) => word.endsWith(".py")),
    sourceFolder: null,
    django: false,
  };
}

function djangoModule(folder: Folder): { readonly module: string; readonly from: string } | undefined {
  const text = readText(folder, "manage.py");
  const match = /DJANGO_SETTINGS_MODULE["']\s*,\s*["']([A-Za-z0-9_.]+)["']/.exec(text ?? "");
  if (text === undefined || match?.[1] === undefined) return undefined;
  const line = lineAt(text, match.index);
  const parents = match[1].split(".").slice(0, -1);
  // Settings may lie deeper than wsgi.py: config.settings.production beside config/wsgi.py.
  while (parents.length > 1 && !hasFile(folder, `${parents.join("/")}/wsgi.py`)) parents.pop();
  return { module: parents.join(".") || match[1], from: `Django's settings, manage.py line ${line}` };
}

interface FoundApp {
  readonly kind: "wsgi" | "asgi";
  readonly file: string;
  readonly name: string;
  readonly from: string;
}

function findApp(folder: Folder, sources: readonly string[]): FoundApp | undefined {
  const rank = (path: string): number => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return ["wsgi.py", "asgi.py", "main.py", "app.py", "server.py", "api.py", "__init__.py"].indexOf(name) + 1 || 99;
  };
  for (const file of sources.toSorted((a, b) => rank(a) - rank(b))) {
    const text = readText(folder, file) ?? "";
    const made =
      /^([A-Za-z_]\w*)\s*(?::\s*\w+\s*)?=\s*(?:\w+\.)?(Flask|FastAPI|Starlette|Quart|Litestar|Sanic|Bottle|Dash)\(/m.exec(
        text,
      );
    if (made?.[1] !== undefined) {
      const kind = /Flask|Bottle/.test(made[2] ?? "") ? "wsgi" : "asgi";
      return { kind, file, name: made[1], from: `${file} line ${lineAt(text, made.index)} makes a ${made[2]} app` };
    }
    const factory = /^def (create_app|make_app)\(\s*(?:\w+\s*(?::[^=)]*)?=[^)]*)?\)/m.exec(text);
    if (factory?.[1] !== undefined && /Flask\(/.test(text))
      return {
        kind: "wsgi",
        file,
        name: `${factory[1]}()`,
        from: `${file} line ${lineAt(text, factory.index)} makes a Flask app`,
      };
  }
  return undefined;
}

function moduleOf(file: string): { readonly module: string; readonly sourceFolder: string | null } {
  const isBelow = file.startsWith("src/");
  const path = (isBelow ? file.slice("src/".length) : file).replace(/\.py$/, "").replace(/\/__init__$/, "");
  return { module: path.replaceAll("/", "."), sourceFolder: isBelow ? "src" : null };
}

function bringsUvicorn(folder: Folder): boolean {
  return ["requirements.txt", "pyproject.toml", "Pipfile"].some((name) =>
    /fastapi\[(standard|all)\]/.test(readText(folder, name) ?? ""),
  );
}
