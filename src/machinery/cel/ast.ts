/**
 * An expression as a tree. Every node has an id; where it stands in the text is in the source's table, so that a macro's expansion can point
 * at what was written.
 *
 * Upstream: github.com/google/cel-go common/ast/expr.go
 */
import type { Value } from "./values.ts";

export interface Node {
  readonly id: number;
}
export interface Literal extends Node {
  readonly kind: "literal";
  readonly value: Value;
}
export interface Ident extends Node {
  readonly kind: "ident";
  readonly name: string;
}
/** `operand.field`, or `has(operand.field)` where `testOnly`. */
export interface Select extends Node {
  readonly kind: "select";
  readonly operand: Expr;
  readonly field: string;
  readonly testOnly: boolean;
}
export interface CallExpr extends Node {
  readonly kind: "call";
  readonly name: string;
  /** Of `target.name(args)`. */
  readonly target: Expr | undefined;
  readonly args: readonly Expr[];
}
export interface ListExpr extends Node {
  readonly kind: "list";
  readonly elements: readonly Expr[];
  /** Of `[?element]`. */
  readonly optional: ReadonlySet<number>;
}
export interface MapEntry extends Node {
  readonly key: Expr;
  readonly value: Expr;
  readonly optional: boolean;
}
export interface MapExpr extends Node {
  readonly kind: "map";
  readonly entries: readonly MapEntry[];
}
export interface StructField extends Node {
  readonly name: string;
  readonly value: Expr;
  readonly optional: boolean;
}
export interface StructExpr extends Node {
  readonly kind: "struct";
  readonly type: string;
  readonly fields: readonly StructField[];
}
/** A loop: `result` after `step` has run for each element of `range`, from `accumulator = initial` on, while `condition` holds. */
export interface Comprehension extends Node {
  readonly kind: "comprehension";
  readonly range: Expr;
  readonly variable: string;
  /** Of loops over keys and values, or positions and elements. */
  readonly second: string | undefined;
  readonly accumulator: string;
  readonly initial: Expr;
  readonly condition: Expr;
  readonly step: Expr;
  readonly result: Expr;
}
export type Expr = Literal | Ident | Select | CallExpr | ListExpr | MapExpr | StructExpr | Comprehension;

/** What macros call their accumulators: not a name that an expression can have. */
export const ACCUMULATOR = "@result";

/** Functions behind operators, by the names that appear in messages. */
export const OPERATORS = {
  conditional: "_?_:_",
  and: "_&&_",
  or: "_||_",
  not: "!_",
  negate: "-_",
  equals: "_==_",
  notEquals: "_!=_",
  less: "_<_",
  lessEquals: "_<=_",
  greater: "_>_",
  greaterEquals: "_>=_",
  add: "_+_",
  subtract: "_-_",
  multiply: "_*_",
  divide: "_/_",
  modulo: "_%_",
  in: "@in",
  index: "_[_]",
  optIndex: "_[?_]",
  optSelect: "_?._",
  notStrictlyFalse: "@not_strictly_false",
} as const;

/** Every node below, the node itself first. */
export function visit(expr: Expr, see: (expr: Expr) => void): void {
  see(expr);
  for (const child of children(expr)) visit(child, see);
}

export function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case "literal":
    case "ident":
      return [];
    case "select":
      return [expr.operand];
    case "call":
      return expr.target === undefined ? expr.args : [expr.target, ...expr.args];
    case "list":
      return expr.elements;
    case "map":
      return expr.entries.flatMap(({ key, value }) => [key, value]);
    case "struct":
      return expr.fields.map(({ value }) => value);
    case "comprehension":
      return [expr.range, expr.initial, expr.condition, expr.step, expr.result];
  }
}
