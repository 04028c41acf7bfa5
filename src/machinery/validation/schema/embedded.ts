/**
 * Embedded objects: where a schema says so, a value within an object has an API version, a kind and metadata of its own.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta/validation.go
 */
import { asMaps, type FieldError, invalid, required } from "../field-error.ts";
import { isDns1035Label, nameIsPathSegment } from "../names.ts";
import { validateObjectMeta } from "../object-meta.ts";
import type { ValueSchema } from "./values.ts";

export function validateEmbedded(schema: ValueSchema, value: unknown, path = ""): readonly FieldError[] {
  const errors: FieldError[] = [];
  check(schema, value, path, errors);
  return errors;
}

/** Whether there is anything to look at. */
export function hasEmbedded({ properties, additionalProperties: values, items, ...schema }: ValueSchema): boolean {
  return (
    schema["x-kubernetes-embedded-resource"] === true ||
    Object.values(properties ?? {}).some(hasEmbedded) ||
    (typeof values === "object" && hasEmbedded(values)) ||
    (items !== undefined && !Array.isArray(items) && hasEmbedded(items as ValueSchema))
  );
}

function check(schema: ValueSchema, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined || Array.isArray(items)) return;
    for (const [i, item] of value.entries()) check(items as ValueSchema, item, `${path}[${i}]`, errors);
  } else if (typeof value === "object" && value !== null) {
    if (schema["x-kubernetes-embedded-resource"] === true)
      errors.push(...validateOne(value as Record<string, unknown>, path));
    const { properties = {}, additionalProperties: values } = schema;
    for (const [name, inner] of Object.entries(value)) {
      if (Object.hasOwn(properties, name)) check(properties[name]!, inner, below(path, name), errors);
      else if (typeof values === "object") check(values, inner, `${path}[${name}]`, errors);
    }
  }
}

const below = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

function validateOne(object: Readonly<Record<string, unknown>>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const at = (name: string) => below(path, name);
  const { apiVersion, kind, metadata } = object;
  if (apiVersion === undefined) errors.push(required(at("apiVersion")));
  if (kind === undefined) errors.push(required(at("kind")));
  if (apiVersion !== undefined) {
    if (typeof apiVersion !== "string") errors.push(invalid(at("apiVersion"), asMaps(apiVersion), "must be a string"));
    else if (apiVersion === "") errors.push(invalid(at("apiVersion"), apiVersion, "must not be empty"));
    else if (apiVersion.split("/").length > 2)
      errors.push(invalid(at("apiVersion"), apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  }
  if (kind !== undefined) {
    if (typeof kind !== "string") errors.push(invalid(at("kind"), asMaps(kind), "must be a string"));
    else if (kind === "") errors.push(invalid(at("kind"), kind, "must not be empty"));
    else {
      const wrong = isDns1035Label(kind.toLowerCase());
      if (wrong.length > 0)
        errors.push(invalid(at("kind"), kind, `may have mixed case, but should otherwise match: ${wrong.join(",")}`));
    }
  }
  if (typeof metadata === "object" && metadata !== null) {
    const given = metadata as Parameters<typeof validateObjectMeta>[0];
    errors.push(
      ...validateObjectMeta(
        { ...given, name: given.name || "fakename" },
        (given.namespace ?? "") !== "",
        nameIsPathSegment,
        at("metadata"),
      ),
    );
  }
  return errors;
}
