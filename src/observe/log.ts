/** Structured logging: the message is a constant, everything that varies is a field. Components get a `Logger`; nothing logs by itself. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  info(message: string, fields?: Fields): void;
  /** Something that works and may not for long, or that the user should know of. */
  warn(message: string, fields?: Fields): void;
  error(message: string, error: unknown, fields?: Fields): void;
  /** A logger whose lines appear only when the process runs with `-v=level` or more. */
  v(level: number): Logger;
  with(fields: Fields): Logger;
}

/** A logger that says nothing. */
export const silent: Logger = { info() {}, warn() {}, error() {}, v: () => silent, with: () => silent };
