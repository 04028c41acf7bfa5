/** Upstream: pkg/apis/core/validation/validation.go (ValidateConfigMap) */
import { checkText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, fieldForbidden, invalid, tooLong } from "../../../../machinery/validation/field-error.ts";
import { isConfigMapKey } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { ConfigMap } from "../../../generated/core.v1.ts";
import { deepEqual } from "../../../semantic-equal.ts";

/** Values of config maps and secrets together: a little under what etcd takes. */
export const MAX_DATA_BYTES = 1024 * 1024;

export const size = (map: object | undefined): number => Object.keys(map ?? {}).length;

/** The number of bytes that base64 text stands for. */
export function decodedLength(base64: string): number {
  return Math.floor((base64.replace(/[=\s]+/g, "").length * 3) / 4);
}

export function validateConfigMap(configMap: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, text] of sortedEntries(configMap.data)) {
    errors.push(...checkText(key, `data[${key}]`, isConfigMapKey));
    if (configMap.binaryData !== undefined && key in configMap.binaryData)
      errors.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
    bytes += Buffer.byteLength(text);
  }
  for (const [key, base64] of sortedEntries(configMap.binaryData)) {
    errors.push(...checkText(key, `binaryData[${key}]`, isConfigMapKey));
    bytes += decodedLength(base64);
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLong("[]", MAX_DATA_BYTES));
  return errors;
}

export function validateConfigMapUpdate(configMap: ConfigMap, old: ConfigMap): FieldError[] {
  return [...validateImmutable(configMap, old, ["data", "binaryData"]), ...validateConfigMap(configMap)];
}

interface Immutable {
  readonly kind?: string;
  readonly immutable?: boolean;
}

/** Config maps and secrets that were declared immutable stay so, with the data they have. */
export function validateImmutable<T extends Immutable>(
  object: T,
  old: T,
  fields: readonly Extract<keyof T, string>[],
): FieldError[] {
  if (old.immutable !== true) return [];
  const detail = "field is immutable when `immutable` is set";
  return [
    ...(object.immutable === true ? [] : [fieldForbidden("immutable", detail)]),
    ...fields
      .filter((field) => !deepEqual(contentOf(object, field), contentOf(old, field)))
      .map((field) => fieldForbidden(field, detail)),
  ];
}

/** A config map without data is read with an empty map of it; nothing else is. */
const contentOf = <T extends Immutable>(object: T, field: keyof T): unknown =>
  object[field] ?? (object.kind === "ConfigMap" && field === "data" ? {} : undefined);
