/** Sessions of clients in other languages: where their libraries are put, once, and what runs them. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const CACHE = join(ROOT, "node_modules/.cache");

export interface Sessions {
  /** What to run, with the session's file as the last argument. */
  readonly command: readonly string[];
  readonly files: readonly string[];
}

/** The sessions of npm's clients, or why they can't be had. */
export function npmSessions(): Sessions | string {
  const from = join(import.meta.dirname, "npm");
  const folder = join(CACHE, "clients-npm");
  const wanted = readFileSync(join(from, "package.json"), "utf8");
  const why = once(folder, wanted, () => {
    writeFileSync(join(folder, "package.json"), wanted);
    return run("npm", [
      ..."install --prefix".split(" "),
      folder,
      ..."--ignore-scripts --no-audit --no-fund --loglevel=error".split(" "),
    ]);
  });
  if (why !== undefined) return why;
  for (const file of globSync(join(from, "*.mjs"))) copyFileSync(file, join(folder, basename(file)));
  const files = globSync(join(folder, "*.mjs")).sort();
  return { command: [process.execPath], files: files.filter((file) => !file.endsWith("/steps.mjs")) };
}

/** The sessions of Python's clients, or why they can't be had. */
export function pythonSessions(): Sessions | string {
  const from = join(import.meta.dirname, "python");
  const folder = join(CACHE, "clients-python");
  const requirements = join(from, "requirements.txt");
  const why = once(folder, readFileSync(requirements, "utf8"), () => {
    if (spawnSync("python3", ["-c", "import ensurepip, venv"]).status !== 0)
      return "python3 with venv is not installed";
    const pip = join(folder, "bin/pip");
    return run("python3", ["-m", "venv", folder]) ?? run(pip, ["install", "--quiet", "--requirement", requirements]);
  });
  if (why !== undefined) return why;
  return { command: [join(folder, "bin/python")], files: globSync(join(from, "*_session.py")).sort() };
}

/** Fills a folder unless it is filled for `wanted` already. */
function once(folder: string, wanted: string, fill: () => string | undefined): string | undefined {
  const mark = join(folder, "filled-for");
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return undefined;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const why = fill();
  if (why === undefined) writeFileSync(mark, wanted);
  return why;
}

function run(command: string, args: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: 300_000 });
  if (status === 0) return undefined;
  return `${basename(command)} failed: ${error?.message ?? stderr.trim().split("\n").at(-1)}`;
}
