/** What macros are written with: the shape of a macro, and a builder of syntax trees. */
import { ACCUMULATOR, type Expr } from "./ast.ts";
import type { Source } from "./source.ts";
import type { Value } from "./values.ts";

/** Builds the expression that a macro call expands to. Every new node is located where the macro call stands in the source. */
export class Builder {
  readonly #source: Source;
  readonly #offset: () => number;
  #next: () => number;
  constructor(source: Source, next: () => number, offset: () => number) {
    this.#source = source;
    this.#next = next;
    this.#offset = offset;
  }
  id(): number {
    const id = this.#next();
    this.#source.offsets.set(id, this.#offset());
    return id;
  }
  literal(value: Value): Expr {
    return { id: this.id(), kind: "literal", value };
  }
  ident(name: string): Expr {
    return { id: this.id(), kind: "ident", name };
  }
  accumulator(): Expr {
    return this.ident(ACCUMULATOR);
  }
  call(name: string, ...args: readonly Expr[]): Expr {
    return { id: this.id(), kind: "call", name, target: undefined, args };
  }
  member(name: string, target: Expr, ...args: readonly Expr[]): Expr {
    return { id: this.id(), kind: "call", name, target, args };
  }
  list(...elements: readonly Expr[]): Expr {
    return { id: this.id(), kind: "list", elements, optional: new Set() };
  }
  map(): Expr {
    return { id: this.id(), kind: "map", entries: [] };
  }
  loop(
    range: Expr,
    variable: string,
    second: string | undefined,
    parts: {
      readonly initial: Expr;
      readonly condition: Expr;
      readonly step: Expr;
      readonly result: Expr;
      readonly accumulator?: string;
    },
  ): Expr {
    return { id: this.id(), kind: "comprehension", range, variable, second, accumulator: ACCUMULATOR, ...parts };
  }
  /** A copy with new ids, for an argument that the expansion contains twice. */
  copy(expr: Expr): Expr {
    const id = this.#next();
    this.#source.offsets.set(id, this.#source.at(expr.id));
    const copy = (inner: Expr): Expr => this.copy(inner);
    switch (expr.kind) {
      case "ident":
      case "literal":
        return { ...expr, id };
      case "select":
        return { ...expr, id, operand: copy(expr.operand) };
      case "call":
        return { ...expr, id, target: expr.target && copy(expr.target), args: expr.args.map(copy) };
      case "list":
        return { ...expr, id, elements: expr.elements.map(copy) };
      case "map":
        return {
          ...expr,
          id,
          entries: expr.entries.map((entry) => ({
            ...entry,
            id: this.id(),
            key: copy(entry.key),
            value: copy(entry.value),
          })),
        };
      case "struct":
        return {
          ...expr,
          id,
          fields: expr.fields.map((field) => ({ ...field, id: this.id(), value: copy(field.value) })),
        };
      case "comprehension":
        return {
          ...expr,
          id,
          range: copy(expr.range),
          initial: copy(expr.initial),
          condition: copy(expr.condition),
          step: copy(expr.step),
          result: copy(expr.result),
        };
    }
  }
}

export interface Macro {
  readonly name: string;
  readonly args: number;
  /** Called as `target.name(…)`. */
  readonly isMember: boolean;
  /** Returning undefined leaves the call as it is; `fail` reports an error at `at` and abandons the expansion. */
  expand(
    b: Builder,
    target: Expr | undefined,
    args: readonly Expr[],
    fail: (at: Expr, message: string) => never,
  ): Expr | undefined;
}
