/** What is wrong with an object, and where. Upstream: staging/src/k8s.io/apimachinery/pkg/util/validation/field */
import { goQuote } from "../../base/go-quote.ts";
import { goNumber } from "../meta/numbers.ts";
import { StatusError } from "../status.ts";

/** One broken rule at one place of an object, as upstream's field.Error: the type decides the words in front of the detail. */
export interface FieldError {
  readonly type:
    | "FieldValueNotFound"
    | "FieldValueRequired"
    | "FieldValueDuplicate"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueForbidden"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "InternalError"
    | "FieldValueTypeInvalid";
  /** `spec.containers[0].name` */
  readonly field: string;
  /** The whole text after `field: `, for example `Required value: must be set`. */
  readonly message: string;
}

export const required = (field: string, detail = ""): FieldError =>
  make("FieldValueRequired", field, "Required value", undefined, detail);
export const invalid = (field: string, value: unknown, detail = ""): FieldError =>
  make("FieldValueInvalid", field, "Invalid value", value, detail);
/** Of a value that is too much to show. */
export const invalidOmitted = (field: string, detail: string): FieldError =>
  make("FieldValueInvalid", field, "Invalid value", undefined, detail);
/** Of a value that is shown in its own way. */
export const invalidShown = (field: string, shown: string, detail: string): FieldError => ({
  type: "FieldValueInvalid",
  field,
  message: `Invalid value: ${shown}: ${detail}`,
});
export const typeInvalid = (field: string, value: unknown, detail = ""): FieldError =>
  make("FieldValueTypeInvalid", field, "Invalid value", value, detail);
export const duplicate = (field: string, value: unknown): FieldError =>
  make("FieldValueDuplicate", field, "Duplicate value", value, "");
export const fieldNotFound = (field: string, value: unknown): FieldError =>
  make("FieldValueNotFound", field, "Not found", value, "");
export const fieldForbidden = (field: string, detail = ""): FieldError => ({
  type: "FieldValueForbidden",
  field,
  message: `Forbidden${detail === "" ? "" : `: ${detail}`}`,
});
export const internalError = (field: string, detail: string): FieldError => ({
  type: "InternalError",
  field,
  message: `Internal error: ${detail}`,
});
/** The supported values are listed as they are given: upstream sorts most of its lists, and not all. */
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError =>
  // Texts of a type of their own, as nearly all of these are, Go shows as JSON.
  notSupportedText(field, typeof value === "string" ? byPointer(value) : value, supported);
/** Of a value whose type in Go is plainly a text. */
export const notSupportedText = (field: string, value: unknown, supported: readonly string[]): FieldError =>
  make(
    "FieldValueNotSupported",
    field,
    "Unsupported value",
    value,
    supported.length === 0 ? "" : `supported values: ${supported.map((s) => JSON.stringify(s)).join(", ")}`,
  );
export const tooLong = (field: string, max: number): FieldError => ({
  type: "FieldValueTooLong",
  field,
  message: `Too long: may not be more than ${max} ${max === 1 ? "byte" : "bytes"}`,
});
export const tooMany = (field: string, actual: number, max: number): FieldError => ({
  type: "FieldValueTooMany",
  field,
  message: `Too many: ${actual}: must have at most ${max} ${max === 1 ? "item" : "items"}`,
});

function make(type: FieldError["type"], field: string, words: string, value: unknown, detail: string): FieldError {
  const shown = value === undefined ? "" : `: ${render(value)}`;
  return { type, field, message: `${words}${shown}${detail === "" ? "" : `: ${detail}`}` };
}

/** As Go's field errors print a value: strings quoted, nil as null, structures as JSON. */
function render(value: unknown): string {
  if (typeof value === "string") return goQuote(value);
  if (typeof value === "number") return goNumber(value);
  const text = JSON.stringify(value) ?? "null";
  // Go's JSON keeps itself safe for HTML.
  return typeof value === "object" ? text.replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`) : text;
}

/** What Go holds in maps shows by the order of its keys. */
export function asMaps(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(asMaps);
  const entries = Object.entries(value).map(([key, inner]) => [key, asMaps(inner)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A text that Go holds by a pointer, and so shows as JSON. */
export const byPointer = (text: string): object => ({ toJSON: () => text });

/** All of them in one sentence. */
export function aggregated(errors: readonly FieldError[]): string {
  const unique = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  return unique.length === 1 ? unique[0]! : `[${unique.join(", ")}]`;
}

/** The 422 that carries these errors, one cause each; `kind` is `Pod`, `group` may be empty. */
export function invalidObject(group: string, kind: string, name: string, errors: readonly FieldError[]): StatusError {
  const qualifiedKind = group === "" ? kind : `${kind}.${group}`;
  return new StatusError("Invalid", `${qualifiedKind} ${goQuote(name)} is invalid: ${aggregated(errors)}`, {
    ...(name !== "" && { name }),
    ...(group !== "" && { group }),
    ...(kind !== "" && { kind }),
    causes: errors.map((error) => ({ reason: error.type, message: error.message, field: error.field })),
  });
}
