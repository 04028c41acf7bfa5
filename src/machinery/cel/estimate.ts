/**
 * What an expression may cost at least and at most, estimated before it runs. A definition whose rules could cost too much is refused, so these
 * numbers are part of the API: different ones would accept or refuse different definitions.
 *
 * Upstream: github.com/google/cel-go checker/cost.go
 */
import { ACCUMULATOR, type CallExpr, type Comprehension, type Expr } from "./ast.ts";
import type { Checked } from "./checker.ts";
import {
  factor,
  fixed,
  LIST_COST,
  MAP_COST,
  MOST,
  NONE,
  ONE,
  plus,
  type Range,
  REGEX_LENGTH,
  saturated,
  STRUCT_COST,
  sum,
  times,
  TRAVERSAL,
  union,
  UNKNOWN,
} from "./cost-range.ts";
import { type CallEstimate, type Described, libraryCost, type SizeOf } from "./library-costs.ts";
import { isOptional, type Type } from "./types.ts";

interface EntrySize {
  readonly container: "list" | "map";
  readonly key: Range;
  readonly value: Range;
}
interface Local {
  readonly path: readonly string[];
  readonly size: Range | undefined;
  readonly entries: EntrySize | undefined;
}
export function estimateCost(checked: Checked, sizeOf: SizeOf = () => undefined): Range {
  return new Coster(checked, sizeOf).cost(checked.expr);
}

class Coster {
  readonly #checked: Checked;
  readonly #sizeOf: SizeOf;
  readonly #paths = new Map<number, readonly string[]>();
  readonly #locals = new Map<string, Local[]>();
  readonly #sizes = new Map<number, Range>();
  readonly #entries = new Map<number, EntrySize>();

  constructor(checked: Checked, sizeOf: SizeOf) {
    this.#checked = checked;
    this.#sizeOf = sizeOf;
  }

  cost(expr: Expr): Range {
    switch (expr.kind) {
      case "literal":
        return NONE;
      case "ident":
        this.#paths.set(expr.id, this.#local(expr.name)?.path ?? [expr.name]);
        return ONE;
      case "select": {
        const name = this.#checked.names.get(expr.id);
        if (name !== undefined) {
          this.#paths.set(expr.id, [name]);
          return ONE;
        }
        if (expr.testOnly) return this.cost(expr.operand);
        const operand = this.cost(expr.operand);
        const { kind } = this.#type(expr.operand);
        this.#paths.set(expr.id, [...this.#path(expr.operand), expr.field]);
        return kind === "map" || kind === "struct" || kind === "parameter" ? plus(operand, ONE) : operand;
      }
      case "call":
        return this.#call(expr);
      case "list": {
        const costs = expr.elements.map((element) => this.cost(element));
        this.#entries.set(expr.id, { container: "list", key: ONE, value: this.#joined(expr.elements) });
        return plus(sum(costs), LIST_COST);
      }
      case "map": {
        const costs = expr.entries.map(({ key, value }) => plus(this.cost(key), this.cost(value)));
        const keys = this.#joined(expr.entries.map(({ key }) => key));
        const values = this.#joined(expr.entries.map(({ value }) => value));
        this.#entries.set(expr.id, { container: "map", key: keys, value: values });
        return plus(sum(costs), MAP_COST);
      }
      case "struct":
        return plus(sum(expr.fields.map(({ value }) => this.cost(value))), STRUCT_COST);
      case "comprehension":
        return isBinding(expr) ? this.#binding(expr) : this.#loop(expr);
    }
  }

  #type(expr: Expr): Type {
    return this.#checked.typeOf(expr);
  }
  #local(name: string): Local | undefined {
    return this.#locals.get(name)?.at(-1);
  }
  #push(name: string, local: Local): void {
    const stack = this.#locals.get(name);
    if (stack === undefined) this.#locals.set(name, [local]);
    else stack.push(local);
  }
  #pop(name: string): void {
    this.#locals.get(name)!.pop();
  }
  #path(expr: Expr): readonly string[] {
    return (expr.kind === "ident" ? this.#local(expr.name)?.path : undefined) ?? this.#paths.get(expr.id) ?? [];
  }

  #joined(exprs: readonly Expr[]): Range {
    return exprs.length === 0 ? NONE : exprs.map((expr) => this.#sizeOrUnknown(expr)).reduce(union);
  }

  #sizeOrUnknown(expr: Expr): Range {
    return this.#size(expr) ?? UNKNOWN;
  }

  #size(expr: Expr): Range | undefined {
    const known = this.#sizes.get(expr.id) ?? literalSize(expr);
    if (known !== undefined) return known;
    const declared = this.#sizeOf(this.#path(expr), this.#type(expr));
    if (declared !== undefined) {
      this.#sizes.set(expr.id, declared);
      return declared;
    }
    if (isScalar(this.#type(expr))) return ONE;
    return expr.kind === "ident" ? this.#local(expr.name)?.size : undefined;
  }
  #setSize(expr: Expr, size: Range | undefined): void {
    if (size !== undefined) this.#sizes.set(expr.id, size);
  }
  #entrySize(expr: Expr): EntrySize | undefined {
    return this.#entries.get(expr.id) ?? (expr.kind === "ident" ? this.#local(expr.name)?.entries : undefined);
  }
  #setEntrySize(expr: Expr, size: EntrySize | undefined): void {
    if (size !== undefined) this.#entries.set(expr.id, size);
  }

  #describe(expr: Expr): Described {
    const path = this.#path(expr);
    // Accumulators have no place in the data.
    const isReal = path.length === 0 || path[0] !== ACCUMULATOR;
    return { expr, path: isReal && path.length > 0 ? path : undefined, type: this.#type(expr), size: this.#size(expr) };
  }

  #call(expr: CallExpr): Range {
    const name = this.#checked.qualified.get(expr.id) ?? expr.name;
    if (name === "dyn") {
      const arg = expr.args[0]!;
      const cost = this.cost(arg);
      this.#setSize(expr, this.#size(arg));
      this.#setEntrySize(expr, this.#entrySize(arg));
      return plus(ONE, cost);
    }
    const costs = expr.args.map((arg) => this.cost(arg));
    const args = expr.args.map((arg) => this.#describe(arg));
    const isMember = expr.target !== undefined && !this.#checked.qualified.has(expr.id);
    const targetCost = isMember ? this.cost(expr.target!) : NONE;
    const target = isMember ? this.#describe(expr.target!) : undefined;
    const overloads =
      name === "_?._" ? [{ id: "select_optional_field" }] : (this.#checked.overloads.get(expr.id) ?? []);
    if (overloads.length === 0) return NONE;
    let own: Range | undefined;
    let result: Range | undefined;
    for (const { id } of overloads) {
      const estimate = this.#overload(expr, name, id, target, args, costs);
      own = own === undefined ? estimate.cost : union(own, estimate.cost);
      if (estimate.result !== undefined)
        result = result === undefined ? estimate.result : union(result, estimate.result);
      if ((id === "index_list" || id === "index_map") && expr.args.length > 0) {
        result = this.#entrySize(expr.args[0]!)?.value;
        this.#paths.set(expr.id, [...this.#path(expr.args[0]!), id === "index_list" ? "@items" : "@values"]);
      }
      result ??= this.#size(expr);
    }
    this.#setSize(expr, result);
    return plus(targetCost, own!);
  }

  #loop(expr: Comprehension): Range {
    let total = plus(this.cost(expr.range), this.cost(expr.initial));
    this.#push(expr.accumulator, {
      path: this.#path(expr.initial),
      size: this.#size(expr.initial),
      entries: this.#entrySize(expr.initial),
    });
    const entries = this.#entrySize(expr.range);
    const isList = (entries?.container ?? this.#type(expr.range).kind) === "list";
    const path = this.#path(expr.range);
    const local = (part: "key" | "value"): Local => ({
      path: [...path, part === "key" ? (isList ? "@indices" : "@keys") : isList ? "@items" : "@values"],
      size: entries?.[part],
      entries: undefined,
    });
    if (expr.second === undefined) this.#push(expr.variable, local(isList ? "value" : "key"));
    else {
      this.#push(expr.variable, local("key"));
      this.#push(expr.second, local("value"));
    }
    const turn = plus(this.cost(expr.step), this.cost(expr.condition));
    this.#pop(expr.variable);
    if (expr.second !== undefined) this.#pop(expr.second);
    total = plus(total, this.cost(expr.result));
    this.#pop(expr.accumulator);
    const count = this.#sizeOrUnknown(expr.range);
    total = plus(total, times(count, turn));
    if (expr.initial.kind === "literal") this.#setSize(expr, this.#size(expr.initial));
    else if (expr.initial.kind === "list" || expr.initial.kind === "map") {
      this.#setSize(expr, count);
      this.#setEntrySize(expr, this.#entrySize(expr.step));
    }
    return total;
  }

  #binding(expr: Comprehension): Range {
    let total = plus(this.cost(expr.range), this.cost(expr.initial));
    this.#push(expr.accumulator, {
      path: this.#path(expr.initial),
      size: this.#size(expr.initial),
      entries: this.#entrySize(expr.initial),
    });
    total = plus(total, this.cost(expr.result));
    this.#pop(expr.accumulator);
    this.#setSize(expr, this.#size(expr.result));
    this.#setEntrySize(expr, this.#entrySize(expr.result));
    return total;
  }

  #overload(
    expr: CallExpr,
    name: string,
    id: string,
    target: Described | undefined,
    args: readonly Described[],
    costs: readonly Range[],
  ): CallEstimate {
    const own = libraryCost(this.#sizeOf, name, id, target, args);
    if (own !== undefined) return { cost: plus(own.cost, sum(costs)), result: own.result };
    const known = (described: Described): Range => described.size ?? UNKNOWN;
    const walk = (described: Described): Range => factor(known(described), TRAVERSAL);
    const [first, second, third] = args as [Described, Described, Described];
    const total = (cost: Range, result?: Range): CallEstimate => ({ cost: plus(cost, sum(costs)), result });
    switch (id) {
      case "string_format":
        return total(walk(target!));
      case "string_to_bytes":
        return total(walk(first), { min: known(first).min, max: saturated(known(first).max * 4) });
      case "bytes_to_string":
        return total(walk(first), { min: Math.floor(known(first).min / 4), max: known(first).max });
      case "strings_quote":
        // Upstream's sum goes round where nothing is known of the text.
        return total(walk(first), {
          min: saturated(known(first).min + 2),
          max: known(first).max >= MOST ? 0 : saturated(known(first).max * 2 + 2),
        });
      case "starts_with_string":
      case "ends_with_string":
        return total(walk(first));
      case "in_list":
        return total(known(second));
      case "matches_string":
        return total(times(factor(plus(known(target!), ONE), TRAVERSAL), factor(known(first), REGEX_LENGTH)));
      case "contains_string":
        return total(times(walk(target!), walk(first)));
      case "logical_or":
      case "logical_and":
        return { cost: { min: costs[0]!.min, max: sum(costs).max } };
      case "conditional": {
        const [condition, yes, no] = costs as [Range, Range, Range];
        const [a, b] = [this.#entrySize(second.expr!), this.#entrySize(third.expr!)];
        if (a !== undefined && b !== undefined) this.#setEntrySize(expr, joinedEntries(a, b));
        return { cost: plus(condition, union(yes, no)), result: union(known(second), known(third)) };
      }
      case "add_string":
      case "add_bytes":
      case "add_list": {
        const size = plus(known(first), known(second));
        const [a, b] = [this.#entrySize(first.expr!), this.#entrySize(second.expr!)];
        if (a !== undefined && b !== undefined) this.#setEntrySize(expr, joinedEntries(a, b));
        return total(id === "add_list" ? ONE : factor(size, TRAVERSAL), size);
      }
      case "equals":
      case "not_equals":
      case "less_string":
      case "greater_string":
      case "less_equals_string":
      case "greater_equals_string":
      case "less_bytes":
      case "greater_bytes":
      case "less_equals_bytes":
      case "greater_equals_bytes": {
        const most = Math.min(known(first).max, known(second).max);
        return total(factor({ min: most > 0 ? 1 : 0, max: most }, TRAVERSAL));
      }
      default:
        return total(ONE);
    }
  }
}

function isBinding(expr: Comprehension): boolean {
  return (
    expr.range.kind === "list" &&
    expr.range.elements.length === 0 &&
    expr.condition.kind === "literal" &&
    expr.condition.value === false &&
    expr.accumulator !== ACCUMULATOR
  );
}

function joinedEntries(a: EntrySize, b: EntrySize): EntrySize {
  return { container: a.container, key: union(a.key, b.key), value: union(a.value, b.value) };
}

function literalSize(expr: Expr): Range | undefined {
  switch (expr.kind) {
    case "literal": {
      const { value } = expr;
      if (typeof value === "string") return fixed([...value].length);
      return fixed(value instanceof Uint8Array ? value.length : 1);
    }
    case "list":
      return fixed(expr.elements.length);
    case "map":
      return fixed(expr.entries.length);
    default:
      return undefined;
  }
}

function isScalar(type: Type): boolean {
  if (isOptional(type)) return isScalar(type.parameters[0]!);
  return ["bool", "double", "duration", "int", "timestamp", "uint"].includes(type.kind);
}
