/**
 * Validates what a version has besides its schema: subresources, columns, selectable fields, its deprecation.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
 */
import { fieldPath } from "../../../../machinery/cel/rules/field-path.ts";
import {
  duplicate,
  type FieldError,
  invalid,
  invalidShown,
  required,
  tooMany,
} from "../../../../machinery/validation/field-error.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceSubresources,
  JSONSchemaProps,
  SelectableField,
} from "../../../generated/apiextensions.v1.ts";

export function validateDeprecation(isDeprecated: boolean, warning: string | undefined, path: string): FieldError[] {
  if (warning === undefined) return [];
  const at = `${path}.deprecationWarning`;
  // A pointer to a text is shown as JSON.
  const wrong = (words: string) => invalidShown(at, JSON.stringify(warning), words);
  if (!isDeprecated) return [wrong("can only be set for deprecated versions")];
  const errors: FieldError[] = [];
  if (Buffer.byteLength(warning) > 256) errors.push(wrong("must be <= 256 characters long"));
  if (warning === "") errors.push(wrong("must not be an empty string"));
  const odd = /[^ \p{L}\p{M}\p{N}\p{P}\p{S}]/u.exec(warning);
  if (odd !== null) {
    const index = Buffer.byteLength(warning.slice(0, odd.index));
    const words = `must only contain printable UTF-8 characters; non-printable character found at index ${index}`;
    errors.push(wrong(words));
  }
  return errors;
}

export function validateSubresources({ scale }: CustomResourceSubresources, path: string): FieldError[] {
  if (scale === undefined) return [];
  const at = (field: string) => `${path}.scale.${field}`;
  const { specReplicasPath = "", statusReplicasPath = "", labelSelectorPath = "" } = scale;
  return [
    ...(specReplicasPath === ""
      ? [required(at("specReplicasPath"))]
      : validateScalePath(specReplicasPath, at("specReplicasPath"), [".spec."], ".spec")),
    ...(statusReplicasPath === ""
      ? [required(at("statusReplicasPath"))]
      : validateScalePath(statusReplicasPath, at("statusReplicasPath"), [".status."], ".status")),
    ...(labelSelectorPath === ""
      ? []
      : validateScalePath(
          labelSelectorPath,
          at("labelSelectorPath"),
          [".spec.", ".status."],
          "either .spec or .status",
        )),
  ];
}

function validateScalePath(text: string, path: string, under: readonly string[], words: string): FieldError[] {
  if (!text.startsWith(".")) return [invalid(path, text, "must be a simple json path starting with .")];
  if (!under.some((prefix) => text.startsWith(prefix)))
    return [invalid(path, text, `should be a json path under ${words}`)];
  return [];
}

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

export function validateColumn(column: CustomResourceColumnDefinition, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { name = "", type = "", format = "", jsonPath = "" } = column;
  if (name === "") errors.push(required(`${path}.name`));
  const types = `must be one of ${COLUMN_TYPES.join(",")}`;
  if (type === "") errors.push(required(`${path}.type`, types));
  else if (!COLUMN_TYPES.includes(type)) errors.push(invalid(`${path}.type`, type, types));
  if (format !== "" && !COLUMN_FORMATS.includes(format))
    errors.push(invalid(`${path}.format`, format, `must be one of ${COLUMN_FORMATS.join(",")}`));
  if (jsonPath === "") errors.push(required(`${path}.JSONPath`));
  else if (!jsonPath.startsWith("."))
    errors.push(invalid(`${path}.JSONPath`, jsonPath, "must be a simple json path starting with ."));
  return errors;
}

export const MOST_FIELDS = 8;

/** `mayBeMany`: there were too many before, and they are the same. */
export function validateSelectableFields(
  fields: readonly SelectableField[],
  schema: JSONSchemaProps | undefined,
  path: string,
  mayBeMany: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, { jsonPath = "" }] of fields.entries()) {
    const at = `${path}[${i}].jsonPath`;
    if (jsonPath === "") {
      errors.push(required(at));
      continue;
    }
    const found = fieldPath(jsonPath, schema ?? {}, { brackets: false });
    if (!found.ok) {
      errors.push(invalid(at, jsonPath, `is an invalid path: ${found.why}`));
      continue;
    }
    if (/^metadata(\.|\[|$)/.test(found.path))
      errors.push(invalid(at, jsonPath, "must not point to fields in metadata"));
    if (!["string", "boolean", "integer"].includes(found.schema.type ?? ""))
      errors.push(
        invalid(
          at,
          jsonPath,
          "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        ),
      );
    if (seen.has(found.path)) errors.push(duplicate(at, jsonPath));
    seen.add(found.path);
  }
  if (seen.size > MOST_FIELDS && !mayBeMany) errors.push(tooMany(path, seen.size, MOST_FIELDS));
  return errors;
}
