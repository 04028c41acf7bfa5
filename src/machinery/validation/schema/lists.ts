/**
 * Lists whose items must be distinct: the items themselves in sets, their keys in keyed lists.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go
 */
import { asMaps, duplicate, type FieldError, invalid } from "../field-error.ts";
import type { ValueSchema } from "./values.ts";

export function validateLists(schema: ValueSchema, value: unknown): readonly FieldError[] {
  const errors: FieldError[] = [];
  check(schema, value, "", errors);
  return errors;
}

function check(schema: ValueSchema, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    checkItems(schema, value, path, errors);
    const { items } = schema;
    if (items === undefined || Array.isArray(items)) return;
    for (let i = 0; i < value.length; i++) check(items as ValueSchema, value[i], `${path}[${i}]`, errors);
  } else if (typeof value === "object" && value !== null) {
    const { properties, additionalProperties: values } = schema;
    if (typeof values === "object")
      for (const name of Object.keys(value))
        check(values, (value as Record<string, unknown>)[name], `${path}[${name}]`, errors);
    for (const name in properties)
      if (Object.hasOwn(value, name))
        check(
          properties[name]!,
          (value as Record<string, unknown>)[name],
          path === "" ? name : `${path}.${name}`,
          errors,
        );
  }
}

function checkItems(schema: ValueSchema, value: readonly unknown[], path: string, errors: FieldError[]): void {
  switch (schema["x-kubernetes-list-type"]) {
    case "set":
      return checkDuplicates(value, path, errors);
    case "map": {
      const odd = value.findIndex((item) => item !== null && (typeof item !== "object" || Array.isArray(item)));
      if (odd >= 0)
        errors.push(invalid(`${path}[${odd}]`, asMaps(value[odd]), "must be an object for an array of list-type map"));
      else
        checkDuplicates(
          value.map((item) => keysOf(schema, item as Record<string, unknown> | null)),
          path,
          errors,
        );
    }
  }
}

function keysOf(
  schema: ValueSchema,
  item: Readonly<Record<string, unknown>> | null,
): Readonly<Record<string, unknown>> {
  const keys: Record<string, unknown> = {};
  for (const key of [...(schema["x-kubernetes-list-map-keys"] ?? [])].sort())
    if (item !== null && Object.hasOwn(item, key)) keys[key] = item[key];
  return keys;
}

/** The second of its like is told, no further one. */
function checkDuplicates(values: readonly unknown[], path: string, errors: FieldError[]): void {
  if (values.length < 2) return;
  const seen = new Map<string, number>();
  for (const [i, value] of values.entries()) {
    const text = typeof value === "string" ? `"${value}` : sortedText(value);
    const times = (seen.get(text) ?? 0) + 1;
    seen.set(text, times);
    if (times === 2) errors.push(duplicate(`${path}[${i}]`, asMaps(value)));
  }
}

function sortedText(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(sortedText).join(",")}]`;
  const object = value as Readonly<Record<string, unknown>>;
  return `{${Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${sortedText(object[key])}`)
    .join(",")}}`;
}
