/** kubectl's JSONPath, as printer columns and selectable fields use it. Upstream: client-go/util/jsonpath. */
import { goNumber, isWhole } from "../../machinery/meta/numbers.ts";

/** A number that is written with a fraction, even of nothing. */
interface Float {
  readonly float: number;
}
type Constant = string | number | boolean | Float;
type Operand = { readonly path: readonly Step[] } | { readonly constant: Constant };

type Step =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "slice"; readonly start?: number; readonly end?: number; readonly step?: number }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "wildcard" }
  | { readonly kind: "recursive" }
  | { readonly kind: "union"; readonly paths: readonly (readonly Step[])[] }
  | { readonly kind: "filter"; readonly left: Operand; readonly operator: string; readonly right?: Operand };

/** What it leads to in an object; undefined where it can't be followed. */
export type JsonPath = (object: unknown) => readonly unknown[] | undefined;

/** Undefined for a text that is no path. */
export function compileJsonPath(text: string): JsonPath | undefined {
  try {
    const steps = parsePath(text.trim());
    return (object) => {
      try {
        return walk(steps, [object]);
      } catch (error) {
        if (!(error instanceof PathError)) throw error;
        return undefined;
      }
    };
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    return undefined;
  }
}

/** A value as it is printed: texts as they are, what has parts as JSON. */
export function printed(value: unknown): string {
  if (value === null || value === undefined) return "<no value>";
  if (typeof value === "number") return goNumber(value);
  return typeof value === "object" ? JSON.stringify(sorted(value)) : String(value);
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const object = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.keys(object)
      .sort()
      .map((key) => [key, sorted(object[key])]),
  );
}

class PathError extends Error {}

function walk(steps: readonly Step[], start: readonly unknown[]): readonly unknown[] {
  return steps.reduce<readonly unknown[]>((values, step) => values.flatMap((value) => take(step, value)), start);
}

function take(step: Step, value: any): readonly unknown[] {
  switch (step.kind) {
    case "key":
      if (step.key === "") return [];
      return isObject(value) && Object.hasOwn(value, step.key) ? [value[step.key]] : [];
    case "index":
      return items(value).length === 0 ? [] : [items(value).at(step.index)].filter((item) => item !== undefined);
    case "slice":
      return slice(items(value), step);
    case "wildcard":
      if (Array.isArray(value)) return value;
      return isObject(value)
        ? Object.keys(value)
            .sort()
            .map((key) => value[key])
        : [];
    case "recursive":
      return everything(value);
    case "union":
      return step.paths.flatMap((path) => walk(path, [value]));
    case "filter":
      return items(value).filter((item) => holds(step, item));
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function items(value: unknown): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new PathError("is not array or slice");
  return value;
}

function slice(
  all: readonly unknown[],
  { start = 0, end = all.length, step = 1 }: Extract<Step, { kind: "slice" }>,
): readonly unknown[] {
  const from = start < 0 ? start + all.length : start;
  const to = Math.min(end < 0 ? end + all.length : end, all.length);
  if (step <= 0) throw new PathError("step must be > 0");
  if (from > to && from < all.length) throw new PathError("starting index is greater than ending index");
  return all.filter((_, i) => i >= from && i < to && (i - from) % step === 0);
}

/** A value and all that is in it. */
function everything(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return [value, ...value.flatMap(everything)];
  if (!isObject(value)) return [];
  return [
    value,
    ...Object.keys(value)
      .sort()
      .flatMap((key) => everything(value[key])),
  ];
}

function holds({ left, operator, right }: Extract<Step, { kind: "filter" }>, item: unknown): boolean {
  const found = valuesOf(left, item);
  if (right === undefined) return found.length > 0;
  const others = valuesOf(right, item);
  if (found.length === 0 || others.length === 0) return false;
  if (found.length > 1 || others.length > 1) throw new PathError("can only compare one element at a time");
  return compare(found[0], operator, others[0]);
}

const valuesOf = (operand: Operand, item: unknown): readonly unknown[] =>
  "constant" in operand ? [operand.constant] : walk(operand.path, [item]);

/** Only what is of one kind compares. */
function compare(left: any, operator: string, right: any): boolean {
  if (kindOf(left) !== kindOf(right)) throw new PathError("incompatible types for comparison");
  if (kindOf(right) === "float") return compareAs(left.float ?? left, operator, right.float ?? right);
  if (typeof left === "boolean" && operator !== "==" && operator !== "!=") throw new PathError("invalid type");
  return compareAs(left, operator, right);
}

function compareAs(left: any, operator: string, right: any): boolean {
  switch (operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    default:
      return left >= right;
  }
}

function kindOf(value: unknown): string {
  if (typeof value === "number") return isWhole(value) ? "int" : "float";
  if (typeof value !== "object") return typeof value;
  return value !== null && "float" in value && Object.keys(value).length === 1 ? "float" : "none";
}

/** Characters that end a name, unless a backslash is before them. */
const NAME = /^(?:\\.|[^.[\]{}()\s,:;"'=<>!&|?@$*\\]|(?<=.)[=<>!&|?@$*])+/;

function parsePath(text: string): readonly Step[] {
  const steps: Step[] = [];
  let rest = text.replace(/^[$@]/, "");
  while (rest !== "") {
    const [step, length] = parseStep(rest);
    if (step !== undefined) steps.push(step);
    rest = rest.slice(length);
  }
  return steps;
}

function parseStep(rest: string): readonly [Step | undefined, number] {
  if (rest.startsWith("[")) {
    const end = closing(rest);
    return [parseBrackets(rest.slice(1, end).trim()), end + 1];
  }
  if (rest.startsWith("..")) return [{ kind: "recursive" }, rest[2] === "[" ? 2 : 1];
  if (rest.startsWith(".")) {
    if (rest[1] === "[") return [undefined, 1];
    if (rest[1] === "*") return [{ kind: "wildcard" }, 2];
    const name = NAME.exec(rest.slice(1))?.[0] ?? "";
    if (name === "" && rest.length > 1) throw new PathError(`unrecognized character in action: ${rest[1]}`);
    return [{ kind: "key", key: unescaped(name) }, 1 + name.length];
  }
  if (/^\s/.test(rest)) return [undefined, 1];
  const name = NAME.exec(rest)?.[0];
  if (name === undefined) throw new PathError(`unrecognized character in action: ${rest[0]}`);
  return [{ kind: "key", key: unescaped(name) }, name.length];
}

const unescaped = (name: string): string => name.replaceAll(/\\(.)/g, "$1");

/** Where the bracket that opens a text ends. */
function closing(text: string): number {
  let depth = 0;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== "") {
      if (char === "\\") i++;
      else if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if (char === "[") depth++;
    else if (char === "]" && --depth === 0) return i;
  }
  throw new PathError("unterminated array");
}

function parseBrackets(text: string): Step {
  if (text === "*" || text === "") return { kind: "slice" };
  const filter = /^\?\(([^]*)\)$/.exec(text);
  if (filter !== null) return parseFilter(filter[1]!.trim());
  const parts = splitOutside(text, ",");
  if (parts.length > 1) return { kind: "union", paths: parts.map((part) => [parseBrackets(part.trim())]) };
  const quoted = /^(['"])((?:\\.|(?!\1)[^\\])*)\1$/.exec(text);
  if (quoted !== null) return { kind: "key", key: unescaped(quoted[2]!) };
  const range = /^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$/.exec(text);
  if (range === null) throw new PathError(`invalid array index ${text}`);
  const [, start, end, step] = range.map((part) => (part === undefined || part === "" ? undefined : Number(part)));
  if (!text.includes(":")) return { kind: "index", index: start! };
  return {
    kind: "slice",
    ...(start !== undefined && { start }),
    ...(end !== undefined && { end }),
    ...(step !== undefined && { step }),
  };
}

function splitOutside(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== "") {
      if (char === "\\") i++;
      else if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if (char === separator) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)];
}

function parseFilter(text: string): Step {
  const found = /^((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^=<>!'"])+?)\s*(==|!=|<=|>=|<|>)\s*([^]+)$/.exec(text);
  if (found !== null)
    return { kind: "filter", left: operand(found[1]!), operator: found[2]!, right: operand(found[3]!) };
  if (/[=<>!]/.test(text.replaceAll(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"/g, "")))
    throw new PathError("unrecognized filter");
  return { kind: "filter", left: operand(text), operator: "" };
}

function operand(given: string): Operand {
  const text = given.trim();
  const quoted = /^(['"])((?:\\.|(?!\1)[^\\])*)\1$/.exec(text);
  if (quoted !== null) return { constant: unescaped(quoted[2]!) };
  if (text === "true" || text === "false") return { constant: text === "true" };
  if (/^-?\d+(\.\d+)?$/.test(text)) return { constant: text.includes(".") ? { float: Number(text) } : Number(text) };
  return { path: parsePath(text) };
}
