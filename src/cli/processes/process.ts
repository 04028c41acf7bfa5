/** What all component executables have in common: they parse the common flags, warn of those without effect, and run until a signal or a failure. */
import type { Component } from "../../base/component-group.ts";
import { ComponentGroup } from "../../base/component-group.ts";
import type { Logger } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import type { Random, World } from "../../world/world.ts";
import { type Command, CommandError, type CommandContext } from "../command.ts";
import { type Flags, type Parsed, UsageError, type Values } from "../flags.ts";
import { KUBERNETES_VERSION, userAgent } from "../version.ts";
import { tellProcess } from "./process-metrics.ts";

export interface Process<T extends Flags> {
  readonly name: string;
  readonly world: World;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly values: Values<T>;
  /** Names that the command line set. */
  readonly set: ReadonlySet<string>;
  /** Aborts when the process is to end. */
  readonly signal: AbortSignal;
  readonly userAgent: string;
  readonly out: (text: string) => void;
}

/** What to start, in order; the first failure of any of them ends the process. Or "done", where flags asked for something that is over at once. */
export type Make<T extends Flags> = (process: Process<T>) => Promise<readonly Component[] | "done">;

/** The command of a component. `load` brings its code, which nobody needs who asks for `--help`. */
export function componentCommand<const T extends Flags>(
  name: string,
  about: string,
  flags: T,
  load: () => Promise<Make<T>>,
): Command<T> {
  return {
    name,
    program: name,
    version: `Kubernetes ${KUBERNETES_VERSION}`,
    usage: "[flags]",
    about,
    flags,
    async run(context, values, positional, parsed) {
      if (positional.length > 0)
        throw new UsageError(`${JSON.stringify(name)} does not take any arguments, got ${JSON.stringify(positional)}`);
      refuse(flags, parsed);
      return await runProcess(name, context, values, parsed, await load());
    },
  };
}

async function runProcess<T extends Flags>(
  name: string,
  context: CommandContext,
  values: Values<T>,
  parsed: Parsed<T>,
  make: Make<T>,
): Promise<number> {
  const { world, signal } = context;
  const read = values as {
    readonly v?: number;
    readonly "logging-format"?: string;
    readonly "tls-min-version"?: string;
  };
  if (!["text", "json", undefined].includes(read["logging-format"]))
    throw new CommandError(
      `logging-format: Invalid value: ${JSON.stringify(read["logging-format"])}: Unsupported log format`,
    );
  const least = read["tls-min-version"] ?? "";
  if (!["", "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"].includes(least))
    throw new CommandError(`unknown tls version ${JSON.stringify(least)}`);
  const format = read["logging-format"] === "json" ? "json" : "text";
  const log = context.logger({ verbosity: read.v ?? 0, format }).with({ component: name });
  log.info("Starting", { version: KUBERNETES_VERSION });
  for (const flag of parsed.ignored) log.info("A flag has no effect here", { flag: `--${flag}` });
  const metrics = new Metrics();
  tellProcess(metrics, world);
  const components = await make({
    name,
    world,
    random: world.random.fork(name),
    log,
    metrics,
    values,
    set: parsed.set,
    signal,
    userAgent: userAgent(world.host, name),
    out: context.out,
  });
  if (components === "done") return 0;
  await using group = new ComponentGroup();
  for (const component of components) {
    if (signal.aborted) break;
    await Promise.race([group.start(component), group.wait(signal)]);
  }
  await group.wait(signal);
  return 0;
}

/** Stops at flags that must not be passed over. */
export function refuse<T extends Flags>(flags: T, { set, values }: Parsed<T>): void {
  for (const name of set) {
    const why = flags[name]?.refused;
    const value: unknown = values[name];
    if (why === undefined || value === "" || value === false || (Array.isArray(value) && value.length === 0)) continue;
    throw new CommandError(`--${name} is not supported: ${why}`);
  }
}

/** A component, and its connections closed behind it. */
export function closing(inner: Component, connections: readonly { close(): Promise<void> }[]): Component {
  return {
    name: inner.name,
    async run(signal, ready) {
      try {
        await inner.run(signal, ready);
      } finally {
        for (const connection of connections) await connection.close();
      }
    },
  };
}
