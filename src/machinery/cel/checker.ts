/**
 * Type-checks an expression: assigns every node a type and every call its matching overloads, or reports errors in upstream's words.
 * Upstream: github.com/google/cel-go checker/checker.go
 */
import { OPERATORS, type CallExpr, type Comprehension, type Expr, type Select } from "./ast.ts";
import type { Environment, FunctionDeclaration, Overload } from "./environment.ts";
import type { Issue, Source } from "./source.ts";
import {
  assignable,
  assignableAll,
  BOOL,
  BYTES,
  DOUBLE,
  DYN,
  equalTypes,
  ERROR,
  formatSignature,
  formatType,
  INT,
  isDynamic,
  isOptional,
  list,
  map,
  mostGeneral,
  NULL,
  optional,
  parameter,
  STRING,
  substitute,
  typeOf,
  UINT,
  type Mapping,
  type Type,
} from "./types.ts";
import { Uint, type Value } from "./values.ts";

export interface Checked {
  readonly source: Source;
  readonly expr: Expr;
  readonly type: Type;
  typeOf(expr: Expr): Type;
  /** Of an identifier, or of a chain of selections that is one name with dots in it. */
  readonly names: ReadonlyMap<number, string>;
  /** Of calls. */
  readonly overloads: ReadonlyMap<number, readonly Overload[]>;
  /** Calls whose target is a part of the function's name: `ip.isCanonical(…)`. */
  readonly qualified: ReadonlyMap<number, string>;
}

export type CheckResult =
  | { readonly ok: true; readonly checked: Checked }
  | { readonly ok: false; readonly message: string };

export function check(env: Environment, source: Source, expr: Expr): CheckResult {
  const checker = new Checker(env, source);
  checker.check(expr);
  if (checker.issues.length > 0) return { ok: false, message: source.render(checker.issues) };
  const { types, mapping } = checker;
  for (const [id, type] of types) types.set(id, substitute(mapping, type, DYN));
  return {
    ok: true,
    checked: {
      source,
      expr,
      type: types.get(expr.id)!,
      typeOf: ({ id }) => types.get(id) ?? DYN,
      names: checker.names,
      overloads: checker.overloads,
      qualified: checker.qualified,
    },
  };
}

/** `a.b.c` where that is all there is. */
function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === "ident") return expr.name;
  if (expr.kind !== "select" || expr.testOnly) return undefined;
  const prefix = qualifiedName(expr.operand);
  return prefix === undefined ? undefined : `${prefix}.${expr.field}`;
}

const unwrapOptional = (type: Type): Type => (isOptional(type) ? type.parameters[0]! : type);

class Checker {
  readonly #env: Environment;
  readonly #source: Source;
  readonly issues: Issue[] = [];
  readonly types = new Map<number, Type>();
  readonly names = new Map<number, string>();
  readonly overloads = new Map<number, readonly Overload[]>();
  readonly qualified = new Map<number, string>();
  mapping: Mapping = new Map();
  #scopes: ReadonlyMap<string, Type>[] = [];
  #variables = 0;

  constructor(env: Environment, source: Source) {
    this.#env = env;
    this.#source = source;
  }

  check(expr: Expr): void {
    const type = this.#typeOf(expr);
    if (!this.types.has(expr.id)) this.types.set(expr.id, type);
  }

  #get(expr: Expr): Type {
    return this.types.get(expr.id)!;
  }
  #report(at: { readonly id: number }, message: string): void {
    this.issues.push({ offset: this.#source.at(at.id), message });
  }
  #fresh(): Type {
    return parameter(`_var${this.#variables++}`);
  }
  #assignable(from: Type, to: Type): boolean {
    const attempt = new Map(this.mapping);
    if (!assignable(attempt, from, to)) return false;
    this.mapping = attempt;
    return true;
  }
  #mismatch(at: Expr, expected: Type, found: Type): void {
    this.#report(at, `expected type '${formatType(expected)}' but found '${formatType(found)}'`);
  }
  #undeclared(at: Expr, name: string): Type {
    this.#report(at, `undeclared reference to '${name}' (in container '')`);
    return ERROR;
  }

  #typeOf(expr: Expr): Type {
    switch (expr.kind) {
      case "literal":
        return literalType(expr.value);
      case "ident":
        return this.#named(expr, expr.name) ?? this.#undeclared(expr, expr.name);
      case "select":
        return this.#select(expr);
      case "call":
        return this.#call(expr);
      case "list": {
        let element: Type | undefined;
        expr.elements.forEach((item, i) => {
          this.check(item);
          element = this.#join(element, this.#optionalPart(item, expr.optional.has(i)));
        });
        return list(element ?? this.#fresh());
      }
      case "map": {
        let key: Type | undefined;
        let value: Type | undefined;
        for (const entry of expr.entries) {
          this.check(entry.key);
          key = this.#join(key, this.#get(entry.key));
          this.check(entry.value);
          value = this.#join(value, this.#optionalPart(entry.value, entry.optional));
        }
        return key === undefined ? map(this.#fresh(), this.#fresh()) : map(key, value!);
      }
      case "struct": {
        const declared = this.#env.struct(expr.type.replace(/^\./, ""));
        if (declared === undefined) {
          const other = this.#env.type(expr.type);
          if (other !== undefined) this.#report(expr, `'${formatType(other)}' is not a message type`);
          else this.#undeclared(expr, expr.type);
        }
        for (const field of expr.fields) {
          this.check(field.value);
          if (declared === undefined) continue;
          const wanted = declared.field(field.name);
          if (wanted === undefined) this.#report(field, `undefined field '${field.name}'`);
          const given = this.#optionalPart(field.value, field.optional);
          if (!this.#assignable(wanted ?? ERROR, given))
            this.#report(
              field,
              `expected type of field '${field.name}' is '${formatType(wanted!)}' but provided type is '${formatType(given)}'`,
            );
        }
        return declared?.type ?? ERROR;
      }
      case "comprehension":
        return this.#comprehension(expr);
    }
  }

  /** Of `?x` in a literal: what the optional holds. */
  #optionalPart(expr: Expr, isOptionalEntry: boolean): Type {
    const type = this.#get(expr);
    if (!isOptionalEntry) return type;
    if (!isOptional(type) && type.kind !== "dyn") this.#mismatch(expr, optional(type), type);
    return unwrapOptional(type);
  }

  /** Of elements that differ nothing is known; whether they may is not asked here. */
  #join(before: Type | undefined, type: Type): Type {
    if (before === undefined) return type;
    return this.#assignable(before, type) ? mostGeneral(before, type) : DYN;
  }

  #named(expr: Expr, written: string): Type | undefined {
    const name = written.replace(/^\./, "");
    for (let i = this.#scopes.length - 1; i >= 0 && name === written; i--) {
      const type = this.#scopes[i]!.get(name);
      if (type === undefined) continue;
      this.names.set(expr.id, name);
      return type;
    }
    const type = this.#env.variable(name);
    if (type !== undefined) {
      this.names.set(expr.id, name);
      return type;
    }
    const named = this.#env.type(name);
    if (named === undefined) return undefined;
    this.names.set(expr.id, name);
    return typeOf(named);
  }

  #select(expr: Select): Type {
    const name = qualifiedName(expr);
    const type = name === undefined ? undefined : this.#named(expr, name);
    if (type !== undefined) return type;
    const result = this.#field(expr, expr.operand, expr.field, false);
    return expr.testOnly ? BOOL : substitute(this.mapping, result);
  }

  #field(expr: Expr, operand: Expr, field: string, isOptionalSelect: boolean): Type {
    this.check(operand);
    const type = substitute(this.mapping, this.#get(operand));
    const target = unwrapOptional(type);
    let result: Type = DYN;
    if (target.kind === "map") result = target.parameters[1]!;
    else if (target.kind === "struct") {
      const found = this.#env.struct(target.name)?.field(field);
      if (found === undefined) this.#report(expr, `undefined field '${field}'`);
      result = found ?? ERROR;
    } else if (target.kind === "parameter") this.#assignable(DYN, target);
    else if (!isDynamic(target)) this.#report(expr, `type '${formatType(target)}' does not support field selection`);
    return isOptional(type) || isOptionalSelect ? optional(result) : result;
  }

  #call(expr: CallExpr): Type {
    if (expr.name === OPERATORS.optSelect) {
      const [operand, field] = expr.args as [Expr, Expr];
      if (field.kind !== "literal" || typeof field.value !== "string") {
        this.#report(field, "unsupported optional field selection");
        return ERROR;
      }
      this.types.set(field.id, STRING);
      return substitute(this.mapping, this.#field(expr, operand, field.value, true));
    }
    for (const arg of expr.args) this.check(arg);
    if (expr.target === undefined) {
      const name = expr.name.replace(/^\./, "");
      const declared = this.#env.function(name);
      return declared === undefined ? this.#undeclared(expr, expr.name) : this.#resolve(expr, declared, undefined);
    }
    const prefix = qualifiedName(expr.target);
    const whole = prefix === undefined ? undefined : this.#env.function(`${prefix}.${expr.name}`);
    if (whole !== undefined) {
      this.qualified.set(expr.id, whole.name);
      return this.#resolve(expr, whole, undefined);
    }
    this.check(expr.target);
    const declared = this.#env.function(expr.name);
    return declared === undefined ? this.#undeclared(expr, expr.name) : this.#resolve(expr, declared, expr.target);
  }

  #resolve(expr: CallExpr, declared: FunctionDeclaration, target: Expr | undefined): Type {
    const all = target === undefined ? expr.args : [target, ...expr.args];
    const types = all.map((arg) => this.#get(arg));
    if (declared.name === OPERATORS.and || declared.name === OPERATORS.or) {
      let isFine = true;
      all.forEach((arg, i) => {
        if (this.#assignable(types[i]!, BOOL)) return;
        this.#mismatch(arg, BOOL, types[i]!);
        isFine = false;
      });
      this.overloads.set(expr.id, declared.overloads);
      return isFine ? BOOL : ERROR;
    }
    let result: Type | undefined;
    const fitting: Overload[] = [];
    for (const overload of declared.overloads) {
      if (overload.isMember !== (target !== undefined)) continue;
      const fresh: Mapping = new Map();
      const instantiate = (type: Type): Type => {
        if (type.kind === "parameter") {
          let variable = fresh.get(type.name);
          if (variable === undefined) fresh.set(type.name, (variable = this.#fresh()));
          return variable;
        }
        return type.parameters.length === 0 ? type : { ...type, parameters: type.parameters.map(instantiate) };
      };
      const params = overload.params.map(instantiate);
      const attempt = assignableAll(this.mapping, types, params);
      if (attempt === undefined) continue;
      this.mapping = attempt;
      fitting.push(overload);
      const type = substitute(this.mapping, instantiate(overload.result));
      if (result === undefined) result = type;
      else if (result.kind !== "dyn" && !equalTypes(result, type)) result = DYN;
    }
    if (result === undefined) {
      const shown = types.map((type) => substitute(this.mapping, type, DYN));
      const signature = formatSignature(target !== undefined, shown);
      this.#report(expr, `found no matching overload for '${declared.name}' applied to '${signature}'`);
      return ERROR;
    }
    this.overloads.set(expr.id, fitting);
    return result;
  }

  #comprehension(expr: Comprehension): Type {
    this.check(expr.range);
    this.check(expr.initial);
    const range = substitute(this.mapping, this.#get(expr.range));
    const accumulator = this.#get(expr.initial);
    let [first, second]: readonly [Type, Type] = [DYN, DYN];
    if (range.kind === "list") {
      const element = range.parameters[0]!;
      [first, second] = expr.second === undefined ? [element, DYN] : [INT, element];
    } else if (range.kind === "map") [first, second] = range.parameters as [Type, Type];
    else if (isDynamic(range) || range.kind === "parameter") this.#assignable(DYN, range);
    else {
      this.#report(
        expr.range,
        `expression of type '${formatType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
      );
      [first, second] = [ERROR, ERROR];
    }
    this.#scopes.push(new Map([[expr.accumulator, accumulator]]));
    const inner = new Map([[expr.variable, first]]);
    if (expr.second !== undefined) inner.set(expr.second, second);
    this.#scopes.push(inner);
    this.check(expr.condition);
    this.#assert(expr.condition, BOOL);
    this.check(expr.step);
    this.#assert(expr.step, accumulator);
    this.#scopes.pop();
    this.check(expr.result);
    this.#scopes.pop();
    return substitute(this.mapping, this.#get(expr.result));
  }

  #assert(expr: Expr, type: Type): void {
    const found = this.#get(expr);
    if (!this.#assignable(type, found)) this.#mismatch(expr, type, found);
  }
}

function literalType(value: Value): Type {
  if (value === null) return NULL;
  if (typeof value === "bigint") return INT;
  if (typeof value === "number") return DOUBLE;
  if (typeof value === "string") return STRING;
  if (typeof value === "boolean") return BOOL;
  if (value instanceof Uint) return UINT;
  return BYTES;
}
