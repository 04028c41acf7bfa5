/**
 * An object against its CRD's schema, in the words of upstream's validator. What hasn't changed may stay wrong.
 * Upstream: apiextensions-apiserver/pkg/apiserver/validation, kube-openapi/pkg/validation.
 */
import { RE2JS } from "re2js";
import type { JSONSchemaProps } from "../../api/generated/apiextensions.v1.ts";
import type { Correlated } from "../../machinery/cel/rules/correlation.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import {
  duplicate,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
  typeInvalid,
} from "../../machinery/validation/field-error.ts";

/** Compiled once a version of a kind. */
export type Patterns = Map<string, RE2JS>;

export function validateAgainst(
  props: JSONSchemaProps,
  value: unknown,
  patterns: Patterns,
  correlated?: Correlated,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  const root = { ...props, properties: withoutSystemFields(props.properties) };
  check(root, value, "", errors, patterns, correlated);
  return correlated?.isSame === true ? [] : errors;
}

/** Lists whose items have to differ: sets as a whole, keyed lists in their keys. */
export function validateListItems(props: JSONSchemaProps, value: unknown): readonly FieldError[] {
  const errors: FieldError[] = [];
  checkListItems(props, value, "", errors);
  return errors;
}

function checkListItems(props: JSONSchemaProps, value: unknown, path: string, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    const items = Array.isArray(props.items) ? undefined : (props.items as JSONSchemaProps | undefined);
    checkDuplicates(props, items, value, path, errors);
    if (items !== undefined) value.forEach((item, i) => checkListItems(items, item, `${path}[${i}]`, errors));
  } else if (typeof value === "object" && value !== null) {
    const values = typeof props.additionalProperties === "object" ? props.additionalProperties : undefined;
    if (props.properties === undefined && values === undefined) return;
    for (const [name, inner] of Object.entries(value)) {
      const property = props.properties?.[name];
      if (property !== undefined) checkListItems(property, inner, below(path, name), errors);
      else if (values !== undefined) checkListItems(values, inner, `${path}[${name}]`, errors);
    }
  }
}

function checkDuplicates(
  props: JSONSchemaProps,
  items: JSONSchemaProps | undefined,
  value: readonly unknown[],
  path: string,
  errors: FieldError[],
): void {
  const type = props["x-kubernetes-list-type"];
  if (type !== "set" && type !== "map") return;
  const seen = new Set<string>();
  value.forEach((item, i) => {
    const identity =
      type === "set"
        ? item
        : Object.fromEntries(
            (props["x-kubernetes-list-map-keys"] ?? []).map((key) => [
              key,
              (item as any)?.[key] ?? (items?.properties?.[key] as JSONSchemaProps | undefined)?.default,
            ]),
          );
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.push(duplicate(`${path}[${i}]`, identity));
    seen.add(text);
  });
}

/** Kubernetes checks these itself. */
function withoutSystemFields(properties: JSONSchemaProps["properties"]): Readonly<Record<string, JSONSchemaProps>> {
  const { apiVersion: _a, kind: _k, metadata: _m, ...rest } = (properties ?? {}) as Record<string, JSONSchemaProps>;
  return rest;
}

const below = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

/** A part that can be found in the old object, and is as it was there, may be wrong. */
function checkPart(
  props: JSONSchemaProps,
  value: unknown,
  path: string,
  errors: FieldError[],
  patterns: Patterns,
  correlated: Correlated | undefined,
): void {
  const found: FieldError[] = [];
  check(props, value, path, found, patterns, correlated);
  if (found.length > 0 && correlated?.isSame !== true) errors.push(...found);
}

function check(
  props: JSONSchemaProps,
  value: unknown,
  path: string,
  errors: FieldError[],
  patterns: Patterns,
  correlated?: Correlated,
): void {
  if (value === null && props.nullable === true) return;
  const fail = (words: string, shown: unknown = value) => errors.push(invalid(path, shown, `${path} in body ${words}`));
  const type = typeOf(value);
  if (!typeFits(props, value)) {
    errors.push(
      typeInvalid(path, type, `${path} in body must be of type ${wantedType(props)}: ${JSON.stringify(type)}`),
    );
    return;
  }
  if (props.enum !== undefined && !props.enum.some((one) => JSON.stringify(one) === JSON.stringify(value)))
    errors.push(
      notSupported(
        path,
        value,
        props.enum.map((one) => (typeof one === "string" ? one : JSON.stringify(one))),
      ),
    );
  if (typeof value === "string") checkString(props, value, path, errors, patterns, fail);
  if (typeof value === "number") checkNumber(props, value, fail);
  if (Array.isArray(value)) checkList(props, value, path, errors, patterns, fail, correlated);
  else if (typeof value === "object" && value !== null)
    checkObject(props, value as Record<string, unknown>, path, errors, patterns, fail, correlated);
  checkCombinations(props, value, path, errors, patterns, correlated);
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function typeFits(props: JSONSchemaProps, value: unknown): boolean {
  if (props["x-kubernetes-int-or-string"] === true) return typeof value === "string" || Number.isInteger(value);
  if (props.type === undefined || props.type === "") return true;
  const type = typeOf(value);
  return type === props.type || (props.type === "number" && type === "integer");
}

function wantedType(props: JSONSchemaProps): string {
  return props["x-kubernetes-int-or-string"] === true ? "integer,string" : props.type!;
}

type Fail = (words: string, shown?: unknown) => void;

function checkString(
  props: JSONSchemaProps,
  value: string,
  path: string,
  errors: FieldError[],
  patterns: Patterns,
  fail: Fail,
): void {
  const length = [...value].length;
  if (props.maxLength !== undefined && length > props.maxLength) errors.push(tooLong(path, props.maxLength));
  if (props.minLength !== undefined && length < props.minLength)
    fail(`should be at least ${props.minLength} chars long`);
  if (props.pattern !== undefined && !matches(props.pattern, value, patterns)) fail(`should match '${props.pattern}'`);
  const format = props.format === undefined ? undefined : FORMATS[props.format];
  if (format !== undefined && !format.test(value)) fail(`must be of type ${props.format}: ${JSON.stringify(value)}`);
}

function matches(pattern: string, value: string, patterns: Patterns): boolean {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    compiled = RE2JS.compile(pattern);
    patterns.set(pattern, compiled);
  }
  return compiled.matcher(value).find();
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  "date-time": /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})$/,
  date: /^\d{4}-\d{2}-\d{2}$/,
  duration:
    /^([+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+|0|\d+\s*(w|d|h|m|s|ms|us|ns|weeks?|days?|hours?|minutes?|seconds?))$/,
  ipv4: /^(\d{1,3}\.){3}\d{1,3}$/,
  ipv6: /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/,
  cidr: /^[0-9a-fA-F:.]+\/\d{1,3}$/,
  uuid: /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  byte: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  email: /^[^@\s]+@[^@\s]+$/,
  hostname: /^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$/,
  uri: /^[a-zA-Z][a-zA-Z0-9+.-]*:/,
};

function checkNumber(props: JSONSchemaProps, value: number, fail: Fail): void {
  const { maximum, minimum, multipleOf } = props;
  if (maximum !== undefined) {
    if (props.exclusiveMaximum === true && value >= maximum) fail(`should be less than ${maximum}`);
    else if (value > maximum) fail(`should be less than or equal to ${maximum}`);
  }
  if (minimum !== undefined) {
    if (props.exclusiveMinimum === true && value <= minimum) fail(`should be greater than ${minimum}`);
    else if (value < minimum) fail(`should be greater than or equal to ${minimum}`);
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) fail(`should be a multiple of ${multipleOf}`);
}

function checkList(
  props: JSONSchemaProps,
  value: readonly unknown[],
  path: string,
  errors: FieldError[],
  patterns: Patterns,
  fail: Fail,
  correlated: Correlated | undefined,
): void {
  if (props.maxItems !== undefined && value.length > props.maxItems)
    errors.push(tooMany(path, value.length, props.maxItems));
  if (props.minItems !== undefined && value.length < props.minItems)
    fail(`should have at least ${props.minItems} items`, value.length);
  const items = Array.isArray(props.items) ? undefined : (props.items as JSONSchemaProps | undefined);
  if (items !== undefined)
    value.forEach((item, i) => checkPart(items, item, `${path}[${i}]`, errors, patterns, correlated?.index(i)));
}

function checkObject(
  props: JSONSchemaProps,
  value: Readonly<Record<string, unknown>>,
  path: string,
  errors: FieldError[],
  patterns: Patterns,
  fail: Fail,
  correlated: Correlated | undefined,
): void {
  const count = Object.keys(value).length;
  if (props.maxProperties !== undefined && count > props.maxProperties)
    errors.push({ ...tooMany(path, count, props.maxProperties) });
  if (props.minProperties !== undefined && count < props.minProperties)
    fail(`should have at least ${props.minProperties} properties`, count);
  for (const name of props.required ?? []) if (value[name] === undefined) errors.push(required(below(path, name)));
  for (const [name, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    const property = props.properties?.[name];
    const schema =
      property ?? (typeof props.additionalProperties === "object" ? props.additionalProperties : undefined);
    if (schema !== undefined) checkPart(schema, inner, below(path, name), errors, patterns, correlated?.key(name));
  }
}

function checkCombinations(
  props: JSONSchemaProps,
  value: unknown,
  path: string,
  errors: FieldError[],
  patterns: Patterns,
  correlated: Correlated | undefined,
): void {
  const passes = (inner: JSONSchemaProps): boolean => {
    const found: FieldError[] = [];
    check(inner, value, path, found, patterns, correlated);
    return found.length === 0;
  };
  const fail = (words: string) => errors.push(invalid(path, value, words));
  const quoted = JSON.stringify(path);
  for (const inner of props.allOf ?? []) check(inner, value, path, errors, patterns, correlated);
  if (props.anyOf !== undefined && props.anyOf.length > 0 && !props.anyOf.some(passes))
    fail(`${quoted} must validate at least one schema (anyOf)`);
  if (props.oneOf !== undefined && props.oneOf.length > 0) {
    const valid = props.oneOf.filter(passes).length;
    if (valid !== 1)
      fail(
        valid === 0
          ? `${quoted} must validate one and only one schema (oneOf). Found none valid`
          : `${quoted} must validate one and only one schema (oneOf). Found ${valid} valid alternatives`,
      );
  }
  if (props.not !== undefined && passes(props.not)) fail(`${quoted} must not validate the schema (not)`);
}
