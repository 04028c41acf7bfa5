/**
 * What a simulated container does, declared in its image or in an annotation of its pod, or read from the few shell words that examples use.
 *
 * - image `exit:3?after=2s`: runs 2 s and exits with 3 · image `nginx?start=200ms&stop=1s&log=hello` · image `missing:…`: can't be pulled
 * - annotation `simulated.typernetes.io/CONTAINER: exit=3&after=2s`
 * - command `sh -c "echo hi; sleep 2; exit 3"`, `true`, `false`, `sleep 5`, `echo hi`
 *
 * The annotation wins over the image, the image over the command. Without any of these a container runs until it is stopped.
 */
export interface Script {
  /** Exit code; undefined runs until it is stopped. */
  readonly exitCode: number | undefined;
  readonly afterMs: number;
  readonly startMs: number;
  /** From SIGTERM to the end; undefined ignores SIGTERM. */
  readonly stopMs: number | undefined;
  readonly log: readonly string[];
  /** Network probes fail before, and after `unhealthyMs`. Counted from the start. */
  readonly readyMs: number;
  readonly unhealthyMs: number | undefined;
  readonly oomKilled: boolean;
}

const RUNS_ON: Script = {
  exitCode: undefined,
  afterMs: 0,
  startMs: 0,
  stopMs: 0,
  log: [],
  readyMs: 0,
  unhealthyMs: undefined,
  oomKilled: false,
};

export const SCRIPT_ANNOTATION = "simulated.typernetes.io/";

/** The image's own name, without what it says about the simulation. */
export function imageName(image: string): string {
  const question = image.indexOf("?");
  return question < 0 ? image : image.slice(0, question);
}

export function imageQuery(image: string): URLSearchParams {
  const question = image.indexOf("?");
  return new URLSearchParams(question < 0 ? "" : image.slice(question + 1));
}

export function scriptOf(container: {
  readonly image: string;
  readonly annotation: string | undefined;
  readonly command: readonly string[];
}): Script {
  if (container.annotation !== undefined) return fromSettings(new URLSearchParams(container.annotation));
  const exit = /(?:^|\/)exit:(\d+)$/.exec(imageName(container.image));
  if (exit !== null) return { ...fromSettings(imageQuery(container.image)), exitCode: Number(exit[1]) };
  if (container.image.includes("?")) return fromSettings(imageQuery(container.image));
  const shell = runShell(container.command);
  if (shell === undefined) return RUNS_ON;
  return { ...RUNS_ON, exitCode: shell.exitCode, afterMs: shell.sleepMs, log: shell.output };
}

function fromSettings(settings: URLSearchParams): Script {
  const time = (name: string) => {
    const value = settings.get(name);
    return value === null ? undefined : durationMs(value);
  };
  const oomKilled = settings.has("oom");
  const exitCode = settings.get("exit");
  return {
    exitCode: oomKilled ? 137 : exitCode === null ? undefined : Number(exitCode),
    afterMs: time("after") ?? 0,
    startMs: time("start") ?? 0,
    stopMs: settings.get("stop") === "never" ? undefined : (time("stop") ?? 0),
    log: settings.getAll("log"),
    readyMs: time("ready") ?? 0,
    unhealthyMs: time("unhealthy"),
    oomKilled,
  };
}

export function durationMs(text: string): number {
  const match = /^([0-9.]+)(ms|s|m|h)?$/.exec(text);
  if (match === null) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "s"]!;
}

export interface ShellResult {
  /** Undefined where it goes on for ever. */
  readonly exitCode: number | undefined;
  readonly sleepMs: number;
  readonly output: readonly string[];
}

/** The few words of shell that examples use; undefined when there is any other in it. */
export function runShell(command: readonly string[]): ShellResult | undefined {
  const [program = "", ...args] = command;
  const name = program.slice(program.lastIndexOf("/") + 1);
  if (!["sh", "bash", "ash"].includes(name) || args[0] !== "-c") return runStatements([command]);
  return runStatements(
    (args[1] ?? "")
      .split(/;|&&|\n/)
      .map((statement) => statement.trim())
      .filter((statement) => statement !== "")
      .map((statement) => [...statement.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3]!)),
  );
}

function runStatements(statements: readonly (readonly string[])[]): ShellResult | undefined {
  const output: string[] = [];
  let sleepMs = 0;
  let exitCode: number | undefined = 0;
  for (const [program = "", ...args] of statements) {
    switch (program.slice(program.lastIndexOf("/") + 1)) {
      case "echo":
        output.push(args.join(" "));
        exitCode = 0;
        break;
      case "true":
      case ":":
        exitCode = 0;
        break;
      case "false":
        exitCode = 1;
        break;
      case "sleep":
        if (!/^[0-9.]+(ms|s|m|h)?$/.test(args[0] ?? "")) return { exitCode: undefined, sleepMs, output };
        sleepMs += durationMs(args[0]!);
        exitCode = 0;
        break;
      case "exit":
        return { exitCode: Number(args[0] ?? exitCode) & 0xff, sleepMs, output };
      default:
        return undefined;
    }
  }
  return { exitCode, sleepMs, output };
}
