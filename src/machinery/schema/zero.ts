/** Go's zero value of a struct, as far as it is visible: fields without `omitempty`, and the structs within. */
import type { Schema } from "./schema.ts";

export function zeroOf(schema: Schema): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, field] of schema.properties ?? []) {
    const { default: given } = field;
    if (given === undefined) continue;
    if (field.properties !== undefined && field.pointer !== true) out[name] = zeroOf(field);
    else if (field.omitEmpty !== true && isZero(given)) out[name] = given;
  }
  return out;
}

function isZero(value: unknown): boolean {
  return value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0);
}
