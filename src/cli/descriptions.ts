import { readFileSync } from "node:fs";
import { type Descriptions, describeWith } from "../machinery/openapi/descriptions.ts";

/** Prose of types and fields, read when somebody first asks for a schema. Where the file was never made, schemas go without. */
export function describeFields(name: string, field?: string): string | undefined {
  return (describe ??= load())(name, field);
}

/** A cache of a file that never changes while we run: two clusters in one process may share it. */
let describe: ((name: string, field?: string) => string | undefined) | undefined;

function load(): (name: string, field?: string) => string | undefined {
  try {
    return describeWith(
      JSON.parse(readFileSync(new URL("../../build/descriptions.json", import.meta.url), "utf8")) as Descriptions,
    );
  } catch {
    return () => undefined;
  }
}
