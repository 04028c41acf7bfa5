/**
 * What an expression may cost at least and at most, told before it runs. A definition whose rules could cost too much is refused, so these
 * numbers are part of the API: other numbers accept or refuse other definitions.
 *
 * Upstream: github.com/google/cel-go checker/cost.go, ext/{lists,sets}.go, staging/src/k8s.io/apiserver/pkg/cel/library/cost.go
 */
import { ACCUMULATOR, type CallExpr, type Comprehension, type Expr } from "./ast.ts";
import type { Checked } from "./checker.ts";
import { CIDR, IP, URL_TYPE } from "./libraries/network.ts";
import { FORMAT } from "./libraries/values.ts";
import { isOptional, type Type } from "./types.ts";

/** A range of sizes or costs, saturating where Go's uint64 ends. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

const MOST = 2 ** 64;
const saturated = (value: number): number => Math.min(value, MOST);
const fixed = (value: number): Range => ({ min: value, max: value });
const UNKNOWN: Range = { min: 0, max: MOST };
const ONE = fixed(1);
const NONE = fixed(0);

const plus = (a: Range, b: Range): Range => ({ min: saturated(a.min + b.min), max: saturated(a.max + b.max) });
const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : saturated(a * b));
const times = (a: Range, b: Range): Range => ({ min: product(a.min, b.min), max: product(a.max, b.max) });
const factor = (a: Range, by: number): Range => ({
  min: saturated(Math.ceil(product(a.min, by))),
  max: saturated(Math.ceil(product(a.max, by))),
});
const union = (a: Range, b: Range): Range => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });
const sum = (ranges: readonly Range[]): Range => ranges.reduce(plus, NONE);

const TRAVERSAL = 0.1;
const REGEX_LENGTH = 0.25;
const LIST_COST = fixed(10);
const MAP_COST = fixed(30);
const STRUCT_COST = fixed(40);
/** Of the longest text that a named format's check stands for. */
const MAX_FORMAT_REGEX = 128;
const MAX_FORMAT_SIZE = 64;

/**
 * How large what stands at `path` may be: the variable first, then names of fields, `@items`, `@keys`, `@values`. Undefined where nothing is known.
 */
export type SizeOf = (path: readonly string[], type: Type) => Range | undefined;

interface Described {
  readonly expr: Expr | undefined;
  readonly path: readonly string[] | undefined;
  readonly type: Type;
  readonly size: Range | undefined;
}
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
interface CallEstimate {
  readonly cost: Range;
  readonly result?: Range | undefined;
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

  #measure({ size, path, type }: Described): Range {
    return size ?? this.#sizeOf(path ?? [], type) ?? UNKNOWN;
  }

  #overload(
    expr: CallExpr,
    name: string,
    id: string,
    target: Described | undefined,
    args: readonly Described[],
    costs: readonly Range[],
  ): CallEstimate {
    const own = this.#ownCost(name, id, target, args);
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

  /** Of the functions that Kubernetes and the extensions bring. */
  #ownCost(
    name: string,
    id: string,
    target: Described | undefined,
    args: readonly Described[],
  ): CallEstimate | undefined {
    const measure = (described: Described): Range => this.#measure(described);
    const walk = (described: Described): Range => factor(measure(described), TRAVERSAL);
    const [first, second] = args as [Described, Described];
    const allocating = (by: number, size: Range): CallEstimate => ({
      cost: plus(plus(factor(size, by), ONE), LIST_COST),
      result: size,
    });
    const sorting = (values: Described, elements: string): CallEstimate => {
      const size = measure(values);
      return allocating(elements === "string" || elements === "bytes" ? 2 + TRAVERSAL : 2, times(size, size));
    };
    const sets = (by: number): CallEstimate => ({
      cost: plus(factor(times(measure(first), measure(second)), by), ONE),
    });
    switch (id) {
      case "list_slice": {
        const from = wholeLiteral(first, 0);
        const to = wholeLiteral(second, measure(target!).max);
        // Upstream counts without a sign: less than none is the most there is.
        return allocating(1, fixed(to < from ? MOST - (from - to) : to - from));
      }
      case "lists_range":
        return allocating(1, fixed(wholeLiteral(first, MOST)));
      case "list_reverse":
        return allocating(1, measure(target!));
      case "list_flatten":
      case "list_flatten_int":
        return allocating(first === undefined ? 1 : wholeLiteral(first, MOST), measure(target!));
      case "list_distinct":
        return allocating(2, times(measure(target!), measure(target!)));
      case "list_sets_contains_list":
      case "list_sets_intersects_list":
        return sets(1);
      case "list_sets_equivalent_list":
        return sets(2);
    }
    const sort = /^list_(\w+)_sort$/.exec(id);
    if (sort !== null) return sorting(target!, sort[1]!);
    const sortBy = /^list_(\w+)_sortByAssociatedKeys$/.exec(id);
    if (sortBy !== null) return sorting(first, sortBy[1]!);
    switch (name) {
      case "check":
        return { cost: fixed(350_000) };
      case "fieldSelector":
      case "labelSelector":
        return { cost: plus(plus(LIST_COST, walk(first)), factor(factor(measure(first), 0.5), 50)) };
      case "isSorted":
      case "sum":
      case "max":
      case "min":
      case "indexOf":
      case "lastIndexOf": {
        if (target === undefined) return undefined;
        const element = target.type.kind === "list" ? target.type.parameters[0]! : undefined;
        if (element === undefined) return { cost: walk(target) };
        const size = this.#itemSize(target, element);
        const each = element.kind === "string" || element.kind === "bytes" ? plus(ONE, factor(size, TRAVERSAL)) : ONE;
        return { cost: times(measure(target), each) };
      }
      case "url":
      case "jsonpatch.escapeKey":
        return { cost: walk(first), result: measure(first) };
      case "lowerAscii":
      case "upperAscii":
      case "substring":
      case "trim":
        return { cost: walk(target!), result: measure(target!) };
      case "replace":
        return {
          cost: factor(measure(target!), 2 * TRAVERSAL),
          result: replaced(measure(target!), measure(first), measure(second)),
        };
      case "split":
        return {
          cost: factor(measure(target!), 2 * TRAVERSAL),
          result: {
            min: 0,
            max: second === undefined ? measure(target!).max : wholeLiteral(second, measure(target!).max),
          },
        };
      case "join": {
        const count = measure(target!);
        const element = target!.type.kind === "list" ? target!.type.parameters[0]! : undefined;
        let size = element === undefined ? NONE : times(count, this.#itemSize(target!, element));
        if (first !== undefined)
          size = plus(
            size,
            times(measure(first), { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) }),
          );
        return { cost: factor(size, TRAVERSAL), result: size };
      }
      case "find":
      case "findAll": {
        const size = measure(target!);
        return {
          cost: times(factor(plus(size, ONE), TRAVERSAL), factor(measure(first), REGEX_LENGTH)),
          result: { min: 0, max: size.max },
        };
      }
      case "ip":
        return id === "cidr_ip" ? { cost: ONE } : { cost: walk(first) };
      case "cidr":
      case "isIP":
      case "isCIDR":
      case "quantity":
      case "isQuantity":
      case "semver":
      case "isSemver":
        return { cost: walk(first) };
      case "ip.isCanonical":
        return { cost: factor(measure(first), 2 * TRAVERSAL) };
      case "containsIP":
      case "containsCIDR": {
        const bytes: Range = { min: 4, max: 16 };
        let cost = factor(plus(bytes, bytes), TRAVERSAL);
        if (name === "containsCIDR") cost = plus(plus(cost, factor(bytes, TRAVERSAL)), ONE);
        return { cost: id.endsWith("_string") ? plus(cost, walk(first)) : cost };
      }
      case "validate":
        return { cost: factor(walk(first), MAX_FORMAT_REGEX * REGEX_LENGTH) };
      case "serviceAccount":
      case "path":
      case "group":
      case "resource":
      case "subresource":
      case "namespace":
      case "name":
      case "allowed":
      case "reason":
      case "error":
      case "errored":
      case "masked":
      case "prefixLength":
      case "family":
      case "isUnspecified":
      case "isLoopback":
      case "isLinkLocalMulticast":
      case "isLinkLocalUnicast":
      case "isGlobalUnicast":
      case "format.named":
      case "sign":
      case "asInteger":
      case "isInteger":
      case "asApproximateFloat":
      case "isGreaterThan":
      case "isLessThan":
      case "compareTo":
      case "add":
      case "sub":
      case "major":
      case "minor":
      case "patch":
      case "getScheme":
      case "getHostname":
      case "getHost":
      case "getPort":
      case "getEscapedPath":
      case "getQuery":
        return { cost: ONE };
      case "_==_": {
        if (first.type.name !== second.type.name) return undefined;
        if (first.type.kind === "opaque")
          return first.type.name === IP.name || first.type.name === CIDR.name ? { cost: ONE } : undefined;
        if (
          first.type.kind !== "struct" ||
          !/^kubernetes\.(Quantity|Semver|URL|NamedFormat|authorization\.)/.test(first.type.name)
        )
          return undefined;
        if (first.type.name === FORMAT.name) return { cost: factor({ min: 1, max: MAX_FORMAT_SIZE }, TRAVERSAL) };
        if (first.type.name === URL_TYPE.name)
          return { cost: factor({ min: 1, max: (second.size ?? ONE).max }, TRAVERSAL) };
        return { cost: ONE };
      }
      default:
        return undefined;
    }
  }

  #itemSize(list: Described, element: Type): Range {
    return this.#sizeOf(list.path === undefined ? [] : [...list.path, "@items"], element) ?? UNKNOWN;
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

function wholeLiteral({ expr }: Described, otherwise: number): number {
  if (expr?.kind !== "literal" || typeof expr.value !== "bigint") return otherwise;
  return expr.value < 0n ? 0 : Number(expr.value);
}

/** How long a text may get in which parts of some size give way to others. */
function replaced(text: Range, old: Range, by: Range): Range {
  let most = 0;
  let keptMost = 0;
  if (old.min === 0) [most, keptMost] = [saturated(text.max + 1), text.max];
  else if (by.max <= old.min) keptMost = text.max;
  else most = Math.ceil(text.max / old.min);
  let least = 0;
  let keptLeast = 0;
  if (old.max === 0) [least, keptLeast] = [saturated(text.min + 1), text.min];
  else if (old.max <= by.min) keptLeast = text.min;
  else least = Math.ceil(text.min / old.max);
  return plus(times({ min: least, max: most }, by), { min: keptLeast, max: keptMost });
}
