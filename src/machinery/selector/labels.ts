/**
 * Selecting objects by their labels: the string form (`app=web,tier in (a,b),!old`), the object form (`matchLabels`, `matchExpressions`), and
 * whether labels match.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/labels/selector.go
 */
import type { LabelSelector as LabelSelectorObject } from "../meta/types.ts";
import { isLabelValue, isQualifiedName } from "../validation/names.ts";

export type Labels = Readonly<Record<string, string>>;
export type LabelOperator = "=" | "==" | "!=" | "in" | "notin" | "exists" | "!" | "gt" | "lt";

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted, each once. */
  readonly values: readonly string[];
}

export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

/** A conjunction of requirements; without any it matches everything. */
export class LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  /** Matches nothing at all, as an absent selector object does. */
  readonly nothing: boolean;

  constructor(requirements: readonly LabelRequirement[], nothing = false) {
    this.requirements = requirements;
    this.nothing = nothing;
  }

  get isEmpty(): boolean {
    return !this.nothing && this.requirements.length === 0;
  }

  matches(labels: Labels | undefined): boolean {
    if (this.nothing) return false;
    for (const requirement of this.requirements) if (!meets(labels, requirement)) return false;
    return true;
  }

  /** The value that a label must have, where one requirement says so. */
  exactValue(key: string): string | undefined {
    const exact = this.requirements.find(
      (r) =>
        r.key === key && (r.operator === "=" || r.operator === "==" || (r.operator === "in" && r.values.length === 1)),
    );
    return exact?.values[0];
  }

  toString(): string {
    return this.requirements.map(formatRequirement).join(",");
  }
}

const EVERYTHING = new LabelSelector([]);
const NOTHING = new LabelSelector([], true);

function meets(labels: Labels | undefined, { key, operator, values }: LabelRequirement): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "=":
    case "==":
      return value === values[0];
    case "in":
      return value !== undefined && values.includes(value);
    case "!=":
      return value !== values[0];
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt": {
      if (value === undefined || !INTEGER.test(value)) return false;
      const [left, right] = [BigInt(value), BigInt(values[0]!)];
      return operator === "gt" ? left > right : left < right;
    }
  }
}

const INTEGER = /^-?\d+$/;

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case "exists":
      return key;
    case "!":
      return `!${key}`;
    case "in":
    case "notin":
      return `${key} ${operator} (${values.join(",")})`;
    case "gt":
      return `${key}>${values[0]}`;
    case "lt":
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0]}`;
  }
}

/** The selector that wants exactly these labels, among others; without checking them. */
export function selectorFromLabels(labels: Labels | undefined): LabelSelector {
  return new LabelSelector(
    Object.keys(labels ?? {})
      .sort()
      .map((key) => ({ key, operator: "=", values: [labels![key]!] })),
  );
}

/** The object form: an absent one selects nothing, an empty one everything. */
export function selectorOf(object: LabelSelectorObject | undefined): LabelSelector {
  if (object === undefined || object === null) return NOTHING;
  const requirements = Object.entries(object.matchLabels ?? {}).map(([key, value]) => requirement(key, "=", [value]));
  for (const expression of object.matchExpressions ?? []) {
    const operator = OPERATORS[expression.operator];
    if (operator === undefined)
      throw new SelectorError(`${JSON.stringify(expression.operator)} is not a valid label selector operator`);
    requirements.push(requirement(expression.key, operator, expression.values ?? []));
  }
  return new LabelSelector(sortedByKey(requirements));
}

const OPERATORS: Readonly<Record<string, LabelOperator>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
};

/** The string form of the object form, as `status.selector` of a Scale and the tables of kubectl show it. */
export function formatLabelSelector(object: LabelSelectorObject | undefined): string {
  try {
    const text = selectorOf(object).toString();
    return text === "" ? "<none>" : text;
  } catch {
    return "<error>";
  }
}

function sortedByKey(requirements: LabelRequirement[]): LabelRequirement[] {
  return requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** A checked requirement; a bad one throws with upstream's words. */
function requirement(key: string, operator: LabelOperator, given: readonly string[]): LabelRequirement {
  const values = [...new Set(given)].sort();
  const errors: string[] = [];
  const invalid = (path: string, value: unknown, detail: string) =>
    errors.push(`${path}: Invalid value: ${JSON.stringify(value)}: ${detail}`);
  const keyErrors = isQualifiedName(key);
  if (keyErrors.length > 0) invalid("key", key, keyErrors.join("; "));
  switch (operator) {
    case "in":
    case "notin":
      if (values.length === 0) invalid("values", values, "for 'in', 'notin' operators, values set can't be empty");
      break;
    case "=":
    case "==":
    case "!=":
      if (values.length !== 1) invalid("values", values, "exact-match compatibility requires one single value");
      break;
    case "exists":
    case "!":
      if (values.length > 0) invalid("values", values, "values set must be empty for exists and does not exist");
      break;
    case "gt":
    case "lt":
      if (values.length !== 1) invalid("values", values, "for 'Gt', 'Lt' operators, exactly one value is required");
      for (const [i, value] of values.entries())
        if (!INTEGER.test(value))
          invalid(`values[${i}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer");
  }
  for (const [i, value] of values.entries()) {
    const valueErrors = isLabelValue(value);
    if (valueErrors.length > 0) invalid(`values[${i}][${key}]`, value, valueErrors.join("; "));
  }
  if (errors.length > 0) throw new SelectorError(errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);
  return { key, operator, values };
}

type Token =
  | { readonly type: "identifier" | "end"; readonly text: string }
  | {
      readonly type: ")" | "(" | "," | "!" | "=" | "==" | "!=" | ">" | "<" | "in" | "notin" | "error";
      readonly text: string;
    };

const SPECIAL = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"] as const;

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  for (let i = 0; i < text.length;) {
    if (" \t\r\n".includes(text[i]!)) {
      i++;
      continue;
    }
    const special = SPECIAL.find((symbol) => text.startsWith(symbol, i));
    if (special !== undefined) {
      tokens.push({ type: special, text: special });
      i += special.length;
      continue;
    }
    const word = /[^ \t\r\n=!(),><]+/y;
    word.lastIndex = i;
    const found = word.exec(text)![0];
    tokens.push({ type: found === "in" || found === "notin" ? found : "identifier", text: found });
    i += found.length;
  }
  return tokens;
}

/** Reads the string form. */
export function parseLabelSelector(text: string): LabelSelector {
  const tokens = scan(text);
  const end: Token = { type: "end", text: "" };
  let at = 0;
  /** Where a value or key may stand, `in` and `notin` are words like others. */
  const word = (token: Token): Token =>
    token.type === "in" || token.type === "notin" ? { type: "identifier", text: token.text } : token;
  const peek = () => word(tokens[at] ?? end);
  const take = () => word(tokens[at++] ?? end);
  const fail = (words: string): never => {
    throw new SelectorError(words);
  };

  const list = (): string[] => {
    const open = take();
    if (open.type !== "(") fail(`found '${open.text}' expected: '('`);
    const first = peek();
    if (first.type === ")") {
      take();
      return [""];
    }
    if (first.type !== "identifier" && first.type !== ",")
      fail(`found '${first.text}', expected: ',', ')' or identifier`);
    const values = new Set<string>();
    for (;;) {
      const token = take();
      if (token.type === "identifier") {
        values.add(token.text);
        const next = peek();
        if (next.type === ")") break;
        if (next.type !== ",") fail(`found '${next.text}', expected: ',' or ')'`);
      } else if (token.type === ",") {
        if (values.size === 0) values.add("");
        const next = peek();
        if (next.type === ")") {
          values.add("");
          break;
        }
        if (next.type === ",") {
          take();
          values.add("");
        }
      } else fail(`found '${token.text}', expected: ',', or identifier`);
    }
    take();
    return [...values];
  };

  const one = (): LabelRequirement => {
    let token = take();
    const absent = token.type === "!";
    if (absent) token = take();
    if (token.type !== "identifier") fail(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const errors = isQualifiedName(key);
    if (errors.length > 0) fail(`<nil>: Invalid value: ${JSON.stringify(key)}: ${errors.join("; ")}`);
    const next = peek();
    if (absent) return requirement(key, "!", []);
    if (next.type === "end" || next.type === ",") return requirement(key, "exists", []);
    const symbol = tokens[at++] ?? end;
    switch (symbol.type) {
      case "in":
      case "notin":
        return requirement(key, symbol.type, list());
      case "=":
      case "==":
      case "!=":
      case ">":
      case "<": {
        const operator = symbol.type === ">" ? "gt" : symbol.type === "<" ? "lt" : symbol.type;
        const value = peek();
        if (value.type === "end" || value.type === ",") return requirement(key, operator, [""]);
        take();
        if (value.type !== "identifier") fail(`found '${value.text}', expected: identifier`);
        return requirement(key, operator, [value.text]);
      }
      default:
        return fail(`found '${symbol.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  };

  const requirements: LabelRequirement[] = [];
  for (;;) {
    const first = peek();
    if (first.type === "end") break;
    if (first.type !== "identifier" && first.type !== "!")
      fail(`found '${first.text}', expected: !, identifier, or 'end of string'`);
    try {
      requirements.push(one());
    } catch (error) {
      if (error instanceof SelectorError) throw new SelectorError(`unable to parse requirement: ${error.message}`);
      throw error;
    }
    const after = take();
    if (after.type === "end") break;
    if (after.type !== ",") fail(`found '${after.text}', expected: ',' or 'end of string'`);
    const next = peek();
    if (next.type !== "identifier" && next.type !== "!") fail(`found '${next.text}', expected: identifier after ','`);
  }
  return requirements.length === 0 ? EVERYTHING : new LabelSelector(sortedByKey(requirements));
}
