/**
 * Validates a value against an OpenAPI schema, in the words and the order of upstream's validator. Where upstream's order is random, the order of
 * the schema is used.
 * Upstream: kube-openapi/pkg/validation/validate, staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/validation
 */
import { RE2JS } from "re2js";
import type { Correlated } from "../../cel/rules/correlation.ts";
import { sameJson } from "../../cel/rules/values.ts";
import { goFloat, goNumber, isWhole } from "../../meta/numbers.ts";
import {
  asMaps,
  type FieldError,
  invalid,
  invalidShown,
  notSupportedText,
  required,
  tooLong,
  tooMany,
  typeInvalid,
} from "../field-error.ts";
import { hasFormat, knownFormat } from "./formats.ts";

export interface ValueSchema {
  readonly type?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly additionalProperties?: ValueSchema | boolean;
  readonly items?: ValueSchema | readonly ValueSchema[];
  readonly allOf?: readonly ValueSchema[];
  readonly anyOf?: readonly ValueSchema[];
  readonly oneOf?: readonly ValueSchema[];
  readonly not?: ValueSchema;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly maximum?: number;
  readonly exclusiveMaximum?: boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly multipleOf?: number;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly default?: unknown;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
}

/** Compiled when they are first needed, once a schema: a text is what is wrong with the pattern. */
export type Patterns = Map<string, RE2JS | string>;

/** `at` is where the value stands. With `correlated`, what is as it was before may stay wrong. */
export function validateValue(
  schema: ValueSchema,
  value: unknown,
  patterns: Patterns,
  { at = "", correlated }: { readonly at?: string; readonly correlated?: Correlated | undefined } = {},
): readonly FieldError[] {
  const found = new Check(patterns).part(schema, value, "", correlated);
  return found.problems.map(({ name, error }) => {
    const path = name?.replace(/^\./, "") ?? "";
    return error([at, path].filter((part) => part !== "").join(".") || "<nil>");
  });
}

/** What pattern a text is, or why it is none, in Go's words. */
export function compilePattern(text: string): RE2JS | string {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    const { message } = error as Error;
    return message.endsWith("trailing backslash at end of expression") ? `${message}: \`\`` : message;
  }
}

/** The text decides whether two are the same; without a name it is about the value as a whole. */
interface Problem {
  readonly text: string;
  readonly name: string | undefined;
  readonly error: (path: string) => FieldError;
}

/** How many checks had something to look at decides which of several alternatives is told about. */
class Result {
  problems: Problem[] = NONE;
  matches = 0;

  get isValid(): boolean {
    return this.problems.length === 0;
  }

  add(problem: Problem): void {
    if (this.problems === NONE) this.problems = [problem];
    else if (!this.problems.some(({ text }) => text === problem.text)) this.problems.push(problem);
  }

  merge({ problems, matches }: Result): void {
    for (const problem of problems) this.add(problem);
    this.matches += matches;
  }
}

/** Never added to: most results stay empty. */
const NONE: Problem[] = [];

class Check {
  readonly #patterns: Patterns;

  constructor(patterns: Patterns) {
    this.#patterns = patterns;
  }

  /** A part that can be found in the old value, and is as it was there, may be wrong. */
  part(schema: ValueSchema, value: unknown, path: string, correlated: Correlated | undefined): Result {
    const result = this.#value(schema, value, path, correlated);
    if (!result.isValid && correlated?.isSame === true) result.problems = NONE;
    return result;
  }

  #value(schema: ValueSchema, value: unknown, path: string, correlated: Correlated | undefined): Result {
    const result = new Result();
    checkType(schema, value, path, result);
    if (value === null) {
      checkEnum(schema, value, path, result);
      return result;
    }
    this.#combinations(schema, value, path, result, correlated);
    if (typeof value === "string") {
      this.#string(schema, value, path, result);
      const format = knownFormat(schema.type ?? "", schema.format);
      if (format !== undefined) checkFormat(format, value, path, result);
    }
    if (typeof value === "number") checkNumber(schema, value, path, result);
    if (Array.isArray(value)) this.#items(schema, value, path, result, correlated);
    checkEnum(schema, value, path, result);
    if (typeof value === "object" && !Array.isArray(value))
      this.#properties(schema, value as Readonly<Record<string, unknown>>, path, result, correlated);
    result.matches++;
    return result;
  }

  /** The first thing that is wrong with a text is told. */
  #string({ maxLength, minLength, pattern }: ValueSchema, value: string, path: string, result: Result): void {
    result.matches++;
    if (maxLength !== undefined || minLength !== undefined) {
      const length =
        value.length <= (minLength ?? 0) || value.length > (maxLength ?? 0) ? [...value].length : value.length;
      if (maxLength !== undefined && length > maxLength) {
        result.add({
          text: `${path} in body should be at most ${maxLength} chars long`,
          name: path,
          error: (at) => tooLong(at, maxLength),
        });
        return;
      }
      if (minLength !== undefined && length < minLength) {
        wrong(result, path, `should be at least ${minLength} chars long`, value);
        return;
      }
    }
    if (pattern === undefined || pattern === "") return;
    let compiled = this.#patterns.get(pattern);
    if (compiled === undefined) this.#patterns.set(pattern, (compiled = compilePattern(pattern)));
    if (typeof compiled === "string")
      wrong(result, path, `should match '${pattern}, but pattern is invalid: ${compiled}'`, value);
    else if (!compiled.matcher(value).find()) wrong(result, path, `should match '${pattern}'`, value);
  }

  #items(
    { items, minItems, maxItems }: ValueSchema,
    value: readonly unknown[],
    path: string,
    result: Result,
    correlated: Correlated | undefined,
  ): void {
    if (items !== undefined && !Array.isArray(items))
      for (let i = 0; i < value.length; i++)
        result.merge(this.part(items as ValueSchema, value[i], `${path}[${i}]`, correlated?.index(i)));
    if (minItems !== undefined && value.length < minItems)
      wrong(result, path, `should have at least ${minItems} items`, value.length);
    if (maxItems !== undefined && value.length > maxItems)
      result.add({
        text: `${path} in body should have at most ${maxItems} items`,
        name: path,
        error: (at) => tooMany(at, value.length, maxItems),
      });
    result.matches += 2;
  }

  #properties(
    schema: ValueSchema,
    value: Readonly<Record<string, unknown>>,
    path: string,
    result: Result,
    correlated: Correlated | undefined,
  ): void {
    const { properties = {}, additionalProperties: values, minProperties, maxProperties } = schema;
    if (minProperties !== undefined || maxProperties !== undefined) {
      const count = Object.keys(value).length;
      if (minProperties !== undefined && count < minProperties)
        wrong(result, path, `should have at least ${minProperties} properties`, count);
      if (maxProperties !== undefined && count > maxProperties)
        result.add({
          text: `${path} in body should have at most ${maxProperties} properties`,
          name: path,
          error: (at) => tooMany(at, count, maxProperties),
        });
    }
    if (values === false) {
      for (const name of Object.keys(value))
        if (!Object.hasOwn(properties, name))
          result.add({
            text: `${path}.${name} in body is a forbidden property`,
            name: path,
            error: (at) => invalid(at, name, `${path}.${name} in body is a forbidden property`),
          });
    } else if (typeof values === "object")
      for (const name of Object.keys(value))
        if (!Object.hasOwn(properties, name))
          result.merge(this.part(values, value[name], `${path}.${name}`, correlated?.key(name)));
    for (const name in properties)
      if (Object.hasOwn(value, name) && value[name] !== undefined) {
        const inner = path === "" ? name : `${path}.${name}`;
        const isIdentity = path === "" && (name === "kind" || name === "apiVersion");
        result.merge(this.part(properties[name]!, value[name], inner, isIdentity ? undefined : correlated?.key(name)));
      }
    for (const name of schema.required ?? [])
      if (!Object.hasOwn(value, name) || value[name] === undefined)
        result.add({
          text: `${path}.${name} in body is required`,
          name: `${path}.${name}`,
          error: (at) => required(at),
        });
    result.matches++;
  }

  #combinations(
    { anyOf = [], oneOf = [], allOf = [], not }: ValueSchema,
    value: unknown,
    path: string,
    result: Result,
    correlated: Correlated | undefined,
  ): void {
    const whole = (text: string) => result.add({ text, name: undefined, error: (at) => invalid(at, "", text) });
    const quoted = JSON.stringify(path);
    const try_ = (schema: ValueSchema) => this.#value(schema, value, path, correlated);
    if (anyOf.length > 0) {
      let best: Result | undefined;
      let passed = false;
      for (const schema of anyOf) {
        const found = try_(schema);
        passed = found.isValid;
        if (passed || best === undefined || found.matches > best.matches) best = found;
        if (passed) break;
      }
      if (!passed) whole(`${quoted} must validate at least one schema (anyOf)`);
      result.merge(best!);
    }
    if (oneOf.length > 0) {
      let best: Result | undefined;
      let first: Result | undefined;
      let passed = 0;
      for (const schema of oneOf) {
        const found = try_(schema);
        if (found.isValid) {
          passed++;
          first ??= found;
          best = undefined;
        } else if (passed === 0 && (best === undefined || found.matches > best.matches)) best = found;
      }
      if (passed !== 1) {
        const what = passed === 0 ? "Found none valid" : `Found ${passed} valid alternatives`;
        whole(`${quoted} must validate one and only one schema (oneOf). ${what}`);
      }
      if (passed === 1) result.merge(first!);
      else if (best !== undefined) result.merge(best);
    }
    if (allOf.length > 0) {
      let passed = 0;
      for (const schema of allOf) {
        const found = try_(schema);
        if (found.isValid) passed++;
        result.merge(found);
      }
      if (passed !== allOf.length)
        whole(`${quoted} must validate all the schemas (allOf)${passed === 0 ? ". None validated" : ""}`);
    }
    if (not !== undefined && try_(not).isValid) whole(`${quoted} must not validate the schema (not)`);
    result.matches += 2;
  }
}

function wrong(result: Result, path: string, words: string, value: unknown): void {
  const text = `${path} in body ${words}`;
  result.add({ text, name: path, error: (at) => invalid(at, value, text) });
}

function wrongType(result: Result, path: string, wanted: string, actual: string): void {
  const text = `${path} in body must be of type ${wanted}: ${JSON.stringify(actual)}`;
  result.add({ text, name: path, error: (at) => typeInvalid(at, actual, text) });
}

const TYPES_OF_BOTH: readonly string[] = ["integer", "string"];

function checkType(schema: ValueSchema, value: unknown, path: string, result: Result): void {
  const { type = "", nullable } = schema;
  const isBoth = schema["x-kubernetes-int-or-string"] === true;
  const format = knownFormat(isBoth ? "" : type, schema.format) ?? "";
  const wanted = isBoth ? "integer,string" : type;
  if (value === null) {
    if (wanted !== "" && nullable !== true) wrongType(result, path, wanted, "null");
    else result.matches++;
    return;
  }
  if (wanted === "" && format === "") return;
  const [actual, actualFormat] = goTypeOf(value);
  const isOf = (one: string) => (isBoth ? TYPES_OF_BOTH.includes(one) : one === type);
  const fits = isOf(actual) || (actual === "integer" && isOf("number"));
  const isText = actual === "string" || actual === "array";
  result.matches++;
  // A format speaks for the type, where there is one.
  if (!isText && format !== "" && !fits && actualFormat !== format) wrongType(result, path, format, actualFormat);
  else if (isText && format !== "" && !isOf("number") && !isOf("integer")) result.matches++;
  else if (!fits) wrongType(result, path, wanted, actual);
  else result.matches++;
}

function goTypeOf(value: unknown): readonly [type: string, format: string] {
  if (Array.isArray(value)) return ["array", ""];
  switch (typeof value) {
    case "number":
      return isWhole(value) ? ["integer", "int64"] : ["number", "float64"];
    case "string":
      return ["string", ""];
    case "boolean":
      return ["boolean", ""];
    default:
      return ["object", ""];
  }
}

function checkFormat(format: string, value: string, path: string, result: Result): void {
  result.matches++;
  if (!hasFormat(format, value)) wrongType(result, path, format, value);
}

function checkEnum({ enum: values = [] }: ValueSchema, value: unknown, path: string, result: Result): void {
  if (value !== null) result.matches++;
  if (values.length === 0 || (value !== null && values.some((one) => isOneOf(one, value)))) return;
  const shown = values.map((one) => (typeof one === "string" ? one : JSON.stringify(asMaps(one))));
  result.add({
    text: `${path} in body should be one of [${shown.join(" ")}]`,
    name: path,
    error: (at) => notSupportedText(at, asMaps(value), shown),
  });
}

/** Go cuts a fraction off to compare it with a whole number. */
function isOneOf(one: unknown, value: unknown): boolean {
  if (one === null) return false;
  if (typeof one === "number" && typeof value === "number" && isWhole(one)) return one === Math.trunc(value);
  return sameJson(one, value);
}

function checkNumber(schema: ValueSchema, value: number, path: string, result: Result): void {
  const { type = "", maximum, minimum, multipleOf } = schema;
  const format = type === "integer" || type === "number" ? knownFormat(type, schema.format) : undefined;
  const check = (number: number, what: string): boolean => {
    if (isOfType(number, type, format)) return true;
    const named = format === undefined ? `${type} (default format)` : `${type} with format ${format}`;
    const text = `${what} value must be of type ${named} in ${path}`;
    result.add({ text, name: undefined, error: (at) => invalid(at, "", text) });
    return false;
  };
  /** A whole number has limits without fractions, if they are of its type at all. What is compared as a fraction is shown as one. */
  const against = (limit: number, what: string): Limit => {
    const isNative = check(limit, what) && isWhole(value);
    const show = isNative ? goNumber : goFloat;
    const amount = isNative ? Math.trunc(limit) : limit;
    return {
      amount,
      shown: show(amount),
      tell(words, shownValue = show(value)) {
        result.add({
          text: words,
          name: path,
          error: (field) => invalidShown(field, shownValue, words),
        });
      },
    };
  };
  check(value, "Checked");
  if (multipleOf !== undefined) {
    const { amount, shown, tell } = against(multipleOf, "MultipleOf");
    if (amount <= 0) tell(`factor MultipleOf declared for ${path} must be positive: ${shown}`, shown);
    else if (
      !Number.isInteger(amount < 1 ? (1 / amount) * value : value / amount) ||
      Math.abs(value / amount) > 2 ** 53
    )
      tell(`${path} in body should be a multiple of ${shown}`);
  }
  if (minimum !== undefined) {
    const isExclusive = schema.exclusiveMinimum === true;
    const { amount, shown, tell } = against(minimum, "Minimum boundary");
    if (isExclusive ? value <= amount : value < amount)
      tell(`${path} in body should be greater than ${isExclusive ? "" : "or equal to "}${shown}`);
  }
  if (maximum !== undefined) {
    const isExclusive = schema.exclusiveMaximum === true;
    const { amount, shown, tell } = against(maximum, "Maximum boundary");
    if (isExclusive ? value >= amount : value > amount)
      tell(`${path} in body should be less than ${isExclusive ? "" : "or equal to "}${shown}`);
  }
  result.matches += 2;
}

interface Limit {
  readonly amount: number;
  readonly shown: string;
  readonly tell: (words: string, shownValue?: string) => void;
}

function isOfType(value: number, type: string, format: string | undefined): boolean {
  if (type === "integer") {
    const limit = format === "int32" ? 2 ** 31 : 2 ** 63;
    return Number.isInteger(value) && value < limit && value >= -limit;
  }
  return format !== "float" || Math.abs(value) <= 3.4028235677973366e38;
}
