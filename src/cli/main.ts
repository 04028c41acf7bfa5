/** `t8s`: finds the command, parses its flags, runs it, and turns the outcome into an exit code. */
import { setMaxListeners } from "node:events";
import { appendFileSync } from "node:fs";
import { describe, createLogger } from "../observe/pino.ts";
import { machineWorld } from "./world.ts";
import { CommandError, type CommandContext } from "./command.ts";
import { commands } from "./commands/index.ts";
import { helpText, parseFlags, UsageError } from "./flags.ts";
import { versionText } from "./version.ts";
import { writeWhole } from "./write-whole.ts";

async function main(args: readonly string[]): Promise<number> {
  const out = (text: string) => writeWhole(1, text);
  const err = (text: string) => writeWhole(2, text);
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    out(overview());
    return name === undefined ? 1 : 0;
  }
  if (name === "version" || name === "--version") {
    out(`${versionText}\n`);
    return 0;
  }
  const entry = commands.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    err(`t8s: unknown command ${JSON.stringify(name)}\nRun 't8s help' for the list.\n`);
    return 1;
  }
  const command = await entry.load(rest);
  const program = command.program ?? `t8s ${command.name}`;
  if (rest.some((arg) => arg === "--help" || arg === "-h")) {
    out(helpText(`${program} ${command.usage}`.trim(), command.about, command.flags));
    return 0;
  }
  if (command.version !== undefined && rest.some((arg) => /^--?version(=true)?$/.test(arg))) {
    out(`${command.version}\n`);
    return 0;
  }
  const world = machineWorld();
  // Hundreds wait for the one signal that stops a cluster; Node 20 takes more than ten for a leak.
  setMaxListeners(0);
  const stop = new AbortController();
  let interruptedAt: number | undefined;
  let stoppedBy: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    const now = world.clock.monotonic();
    interruptedAt ??= now;
    stoppedBy ??= signal;
    if (!stop.signal.aborted) return stop.abort(new Error("interrupted"));
    // Supervisors repeat SIGTERM, shells hand on what the terminal sent already: only someone who presses Ctrl-C again means it.
    if (signal !== "SIGINT" || now - interruptedAt < 1000) return;
    err("\nstopped without cleaning up; `t8s down` finishes it\n");
    process.exit(130);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const context: CommandContext = {
    world,
    signal: stop.signal,
    out,
    err,
    interactive: process.stdout.isTTY === true,
    logger: ({ verbosity, format, file }) =>
      createLogger({
        clock: world.clock,
        format,
        verbosity,
        write: file === undefined ? err : (line) => appendFileSync(file, line),
      }),
  };
  try {
    const parsed = parseFlags(command.flags, rest);
    const code = await command.run(context, parsed.values, parsed.positional, parsed);
    // The first process of a machine or a container has no default action for signals.
    if (stoppedBy === undefined || command.diesBySignal !== true || process.pid === 1) return code;
    process.removeAllListeners(stoppedBy);
    process.kill(process.pid, stoppedBy);
    return await new Promise<never>(() => {
      setInterval(() => {}, 1000); // Until the signal arrives.
    });
  } catch (error) {
    if (error instanceof UsageError) {
      err(`Error: ${error.message}\nSee '${program} --help' for usage.\n`);
      return 1;
    }
    if (error instanceof CommandError) {
      err(`Error: ${error.message}\n`);
      return 1;
    }
    err(`Error: ${describe(error)}\n`);
    if (process.env["T8S_DEBUG"] === "1") err(`${error instanceof Error ? error.stack : ""}\n`);
    return 1;
  }
}

function overview(): string {
  const listed = commands.filter(({ hidden }) => hidden !== true);
  const width = Math.max(...listed.map(({ name }) => name.length)) + 2;
  return `Typernetes: Kubernetes in TypeScript.\n\nUsage:\n  t8s COMMAND [flags]\n\nCommands:\n${listed.map(({ name, about }) => `  ${name.padEnd(width)}${about}`).join("\n")}\n\n't8s COMMAND --help' tells its flags.\n`;
}

process.exit(await main(process.argv.slice(2)));
