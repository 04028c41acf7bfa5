/** Component configuration files: their fields are flags by other names, and a flag that is set takes precedence. */
import { parse } from "yaml";
import type { Fs } from "../../world/fs.ts";
import { CommandError } from "../command.ts";
import { type Flag, type Flags, formatDuration, parseDuration, type Values } from "../flags.ts";
import { readText } from "./files.ts";

export type Document = Readonly<Record<string, unknown>>;

/** A file of the right kind; an empty path is an empty document. */
export async function readDocument(
  fs: Pick<Fs, "readFile">,
  path: string,
  kind: string,
  apiVersion: string,
): Promise<Document> {
  if (path === "") return {};
  const document: unknown = parse(await readText(fs, path));
  if (!isObject(document)) throw new CommandError(`failed to load config file ${path}: Object 'Kind' is missing`);
  if (document["kind"] !== kind || document["apiVersion"] !== apiVersion)
    throw new CommandError(
      `failed to load config file ${path}: no kind ${JSON.stringify(document["kind"])} is registered for version ${JSON.stringify(document["apiVersion"])}`,
    );
  return document;
}

/** Lays one document over another: mappings are merged, everything else is replaced. */
export function overlay(base: Document, over: Document): Document {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const before = merged[name];
    merged[name] = isObject(before) && isObject(value) ? overlay(before, value) : value;
  }
  return merged;
}

/** The value at `a.b.c`, or undefined. */
export function at(document: Document, path: string): unknown {
  let value: unknown = document;
  for (const name of path.split(".")) value = isObject(value) ? value[name] : undefined;
  return value ?? undefined;
}

/** Flags' values, with those of the file for all that the command line didn't set. `fields` names each flag's field. */
export function withFile<T extends Flags>(
  flags: T,
  { values, set }: { readonly values: Values<T>; readonly set: ReadonlySet<string> },
  document: Document,
  fields: Readonly<Partial<Record<keyof T & string, string>>>,
): Values<T> {
  const merged: Record<string, unknown> = { ...values };
  for (const [name, field] of Object.entries(fields) as [string, string][]) {
    const value = at(document, field);
    if (value !== undefined && !set.has(name)) merged[name] = convert(flags[name]!, value, field);
  }
  return merged as Values<T>;
}

/** The other way: a document with every field that has a flag, over the rest of what the file said. */
export function toDocument<T extends Flags>(
  flags: T,
  values: Values<T>,
  fields: Readonly<Partial<Record<keyof T & string, string>>>,
  rest: Document,
): Document {
  let document: Document = {};
  for (const [name, field] of Object.entries(fields) as [string, string][]) {
    const value: unknown = values[name];
    const shown = flags[name]!.type === "duration" ? formatDuration(Number(value)) : value;
    document = overlay(document, nested(field.split("."), shown) as Document);
  }
  return overlay(rest, document);
}

const nested = (path: readonly string[], value: unknown): unknown =>
  path.reduceRight((inner: unknown, name) => ({ [name]: inner }), value);

function convert(flag: Flag, value: unknown, field: string): unknown {
  const bad = () => new CommandError(`${field}: Invalid value: ${JSON.stringify(value)}: must be of type ${flag.type}`);
  switch (flag.type) {
    case "duration": {
      const ms = durationMs(value);
      if (ms === undefined) throw bad();
      return ms;
    }
    case "int":
    case "float":
      if (typeof value !== "number") throw bad();
      return value;
    case "bool":
      if (typeof value !== "boolean") throw bad();
      return value;
    case "string":
      return String(value);
    case "list":
      return Array.isArray(value) ? value.map(String) : [String(value)];
    case "map":
      if (!isObject(value)) throw bad();
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, String(each)]));
  }
}

/** A metav1.Duration: text, or nanoseconds. */
export function durationMs(value: unknown): number | undefined {
  if (typeof value === "number") return value / 1e6;
  return typeof value === "string" ? parseDuration(value) : undefined;
}

const isObject = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value);
