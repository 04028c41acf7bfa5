/**
 * Checks that follow the type check: invalid literals (durations, timestamps, regular expressions, formats and their arguments), and lists and maps
 * whose elements differ in type.
 * Upstream: github.com/google/cel-go cel/validator.go, ext/formatting.go
 */
import { children, type CallExpr, type Expr } from "./ast.ts";
import type { Checked } from "./checker.ts";
import type { Environment } from "./environment.ts";
import { walkFormat } from "./libraries/format-text.ts";
import { regex } from "./libraries/standard.ts";
import type { Issue } from "./source.ts";
import { equalTypes, formatType, isDynamic, isOptional, type Type, type TypeKind } from "./types.ts";
import { CelError, type Value } from "./values.ts";

export function validate(env: Environment, checked: Checked): readonly Issue[] {
  const issues: Issue[] = [];
  const report = (at: Expr, message: string) => issues.push({ offset: checked.source.at(at.id), message });
  const see = (expr: Expr, isInFormat: boolean) => {
    if (expr.kind === "call") literalArgument(env, checked, expr, report);
    if (expr.kind === "call" && expr.name === "format") formatArguments(checked, expr, report);
    if (!isInFormat) homogeneous(checked, expr, report);
    const isFormat = isInFormat || (expr.kind === "call" && expr.name === "format");
    for (const child of children(expr)) see(child, isFormat);
  };
  see(checked.expr, false);
  return issues;
}

type Report = (at: Expr, message: string) => void;

function literalArgument(env: Environment, checked: Checked, expr: CallExpr, report: Report): void {
  const arg = expr.args[0];
  if (arg?.kind !== "literal") return;
  try {
    if (expr.name === "matches") {
      if (typeof arg.value === "string") regex(arg.value);
    } else if (expr.name === "duration" || expr.name === "timestamp") {
      const overload = checked.overloads.get(expr.id)?.[0];
      overload?.run?.(arg.value);
    }
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    report(arg, `invalid ${expr.name} argument`);
  }
}

function homogeneous(checked: Checked, expr: Expr, report: Report): void {
  const part = (item: Expr, isOptionalItem: boolean): Type => {
    const type = checked.typeOf(item);
    return isOptionalItem && isOptional(type) ? type.parameters[0]! : type;
  };
  const differs = (at: Expr, expected: Type, found: Type): boolean => {
    if (equalTypes(expected, found)) return false;
    report(at, `expected type '${formatType(expected)}' but found '${formatType(found)}'`);
    return true;
  };
  if (expr.kind === "list") {
    let first: Type | undefined;
    for (const [i, element] of expr.elements.entries()) {
      const type = part(element, expr.optional.has(i));
      if (first === undefined) first = type;
      else if (differs(element, first, type)) break;
    }
  }
  if (expr.kind === "map") {
    const [first, ...rest] = expr.entries;
    if (first === undefined) return;
    const key = checked.typeOf(first.key);
    const value = part(first.value, first.optional);
    for (const entry of rest) {
      differs(entry.key, key, checked.typeOf(entry.key));
      differs(entry.value, value, part(entry.value, entry.optional));
    }
  }
}

const TEXT: readonly TypeKind[] = [
  "list",
  "map",
  "int",
  "uint",
  "double",
  "bool",
  "string",
  "timestamp",
  "bytes",
  "duration",
  "type",
  "null",
];
/** By verb: what it takes, and what is said of everything else. */
const VERBS: Readonly<Record<string, readonly [kinds: readonly TypeKind[], words: string]>> = {
  d: [["int", "uint"], "decimal clause can only be used on integers"],
  f: [["double", "string"], "fixed-point clause can only be used on doubles"],
  e: [["double", "string"], "scientific clause can only be used on doubles"],
  b: [["int", "uint", "bool"], "only integers and bools can be formatted as binary"],
  x: [["int", "uint", "string", "bytes"], "only integers, byte buffers, and strings can be formatted as hex"],
  o: [["int", "uint"], "octal clause can only be used on integers"],
  s: [
    TEXT,
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
  ],
};

class WrongArgument extends Error {
  readonly at: Expr;
  constructor(at: Expr, message: string) {
    super(message);
    this.at = at;
  }
}

/** `'…'.format([…])` where both are literals. */
function formatArguments(checked: Checked, expr: CallExpr, report: Report): void {
  const [list] = expr.args;
  if (expr.target?.kind !== "literal" || list?.kind !== "list" || expr.args.length !== 1) return;
  const format: Value = expr.target.value;
  if (typeof format !== "string") return;
  const { elements } = list;
  const fits = (at: Expr, kinds: readonly TypeKind[], words: string) => {
    const type = checked.typeOf(at);
    if (!isDynamic(type) && !kinds.includes(type.kind))
      throw new WrongArgument(at, `error during formatting: ${words}, was given ${type.name}`);
  };
  const readable = (at: Expr, words: string): void => {
    fits(at, TEXT, words);
    if (at.kind === "list" || at.kind === "map") for (const child of children(at)) readable(child, words);
  };
  try {
    const used = walkFormat(format, elements.length, (verb, index) => {
      const [kinds, words] = VERBS[verb.toLowerCase()]!;
      if (verb === "s") readable(elements[index]!, words);
      else fits(elements[index]!, kinds, words);
      return "";
    }).used;
    if (elements.length > used)
      report(expr, `too many arguments supplied to string.format (expected ${used}, got ${elements.length})`);
  } catch (error) {
    if (error instanceof WrongArgument) report(error.at, error.message);
    else if (error instanceof CelError) report(expr, error.message);
    else throw error;
  }
}
