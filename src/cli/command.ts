/** What a subcommand is, and what it is passed. */
import type { Logger } from "../observe/log.ts";
import type { World } from "../world/world.ts";
import type { Flags, Parsed, Values } from "./flags.ts";

/** One subcommand: its flags are a table, and it ends with an exit code. */
export interface Command<T extends Flags = any> {
  readonly name: string;
  /** What follows the name in the usage line. */
  readonly usage: string;
  /** One sentence for the list, and the head of its help. */
  readonly about: string;
  readonly flags: T;
  /** The name that upstream's executable has, for a command that is one: help and errors say it. */
  readonly program?: string;
  /** Dies of the signal that stopped it, as upstream's does, once it has ended in order. */
  readonly diesBySignal?: true;
  /** What `--version` prints. */
  readonly version?: string;
  run(context: CommandContext, values: Values<T>, positional: readonly string[], parsed: Parsed<T>): Promise<number>;
}

export interface CommandContext {
  readonly world: World;
  /** Aborts at the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** A terminal at the other end: progress may be drawn. */
  readonly interactive: boolean;
  readonly logger: (options: {
    readonly verbosity: number;
    readonly format: "text" | "json";
    readonly file?: string;
  }) => Logger;
}

/** Something that the user can mend: shown as one line, exit code 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

export function defineCommand<const T extends Flags>(command: Command<T>): Command<T> {
  return command;
}
