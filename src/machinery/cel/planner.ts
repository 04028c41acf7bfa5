/**
 * A checked expression as nested closures: each node is planned once, and running the expression calls its closures. Cost is counted on the way.
 *
 * Failures are thrown; `&&`, `||` and the loops of macros catch those that the other operand, or another element, makes irrelevant.
 *
 * Upstream: github.com/google/cel-go interpreter/{planner,interpretable}.go
 */
import { assert } from "../../base/assert.ts";
import { nativeName, show } from "./access.ts";
import { OPERATORS, type CallExpr, type Comprehension, type Expr } from "./ast.ts";
import {
  type Attribute,
  type Choice,
  computedQualifier,
  constantQualifier,
  presence,
  qualify,
  resolution,
} from "./attributes.ts";
import type { Checked } from "./checker.ts";
import type { Environment, Overload } from "./environment.ts";
import { type CallCost, type Code, type Frame, spend } from "./frame.ts";
import { fits, NO_OVERLOAD, noOverload } from "./overloads.ts";
import {
  ArrayList,
  CelError,
  GrowingList,
  GrowingMap,
  HashMap,
  ListValue,
  mapKey,
  MapValue,
  Optional,
  TypeValue,
  type Value,
} from "./values.ts";

/** A planned node. Constants, attributes and everything else count their costs differently. */
type Planned =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "attribute"; readonly attribute: Attribute; readonly isTest: boolean }
  | { readonly kind: "code"; readonly code: Code };

const constant = (value: Value): Planned => ({ kind: "constant", value });
const code = (run: Code): Planned => ({ kind: "code", code: run });

function attributeOf(planned: Planned): Attribute {
  return planned.kind === "attribute" ? planned.attribute : { base: codeOf(planned), qualifiers: [] };
}

function codeOf(planned: Planned): Code {
  switch (planned.kind) {
    case "constant": {
      const { value } = planned;
      return () => value;
    }
    case "code":
      return planned.code;
    case "attribute": {
      const { attribute, isTest } = planned;
      const resolve = resolution(attribute);
      if (isTest)
        return (frame) => {
          const value = resolve(frame);
          return value instanceof Optional ? value.value !== undefined : value;
        };
      if (!("base" in attribute)) return resolve;
      return (frame) => {
        spend(frame, 1);
        return resolve(frame);
      };
    }
  }
}

const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;
/** With one constant argument these are evaluated when the program is planned. */
const CONVERSIONS: readonly string[] = [
  "bool",
  "bytes",
  "double",
  "duration",
  "dyn",
  "int",
  "string",
  "timestamp",
  "type",
  "uint",
];

export class Planner {
  readonly #env: Environment;
  readonly #checked: Checked;
  readonly #callCost: CallCost;
  readonly #scope = new Map<string, Code[]>();
  slots = 0;

  constructor(env: Environment, checked: Checked, callCost: CallCost) {
    this.#env = env;
    this.#checked = checked;
    this.#callCost = callCost;
  }

  code(expr: Expr): Code {
    return codeOf(this.#plan(expr));
  }

  #plan(expr: Expr): Planned {
    switch (expr.kind) {
      case "literal":
        return constant(expr.value);
      case "ident":
        return this.#name(this.#checked.names.get(expr.id) ?? expr.name);
      case "select": {
        const name = this.#checked.names.get(expr.id);
        if (name !== undefined) return this.#name(name);
        const attribute = attributeOf(this.#plan(expr.operand));
        qualify(attribute, expr.testOnly ? presence(expr.field) : constantQualifier(expr.field, false));
        return { kind: "attribute", attribute, isTest: expr.testOnly };
      }
      case "list":
        return this.#list(expr);
      case "map":
        return this.#map(expr);
      case "struct":
        return this.#struct(expr);
      case "call":
        return this.#call(expr);
      case "comprehension":
        return code(this.#loop(expr));
    }
  }

  #name(name: string): Planned {
    const path = (base: Code): Planned => ({
      kind: "attribute",
      attribute: { base, qualifiers: [] },
      isTest: false,
    });
    const local = this.#scope.get(name)?.at(-1);
    if (local !== undefined) return path(local);
    const type = this.#env.variable(name) === undefined ? this.#env.type(name) : undefined;
    if (type !== undefined) return constant(new TypeValue(type));
    return path((frame) => {
      const value = frame.activation[name];
      if (value === undefined) throw new CelError(`no such attribute(s): ${name}`);
      return typeof value === "function" ? value(frame) : value;
    });
  }

  #list(expr: Extract<Expr, { kind: "list" }>): Planned {
    const planned = expr.elements.map((element) => this.#plan(element));
    if (planned.every((element) => element.kind === "constant"))
      return constant(new ArrayList(planned.map(({ value }) => value)));
    const elements = planned.map(codeOf);
    const { optional } = expr;
    return code((frame) => {
      const items: Value[] = [];
      // A failure of the last has all of them evaluated, and is paid for.
      let left = elements.length;
      try {
        for (let i = 0; i < elements.length; i++) {
          left--;
          const value = elements[i]!(frame);
          if (!optional.has(i)) items.push(value);
          else if (!(value instanceof Optional))
            throw new CelError(`cannot initialize optional list element from non-optional value ${show(value)}`);
          else if (value.value !== undefined) items.push(value.value);
        }
      } catch (error) {
        if (error instanceof CelError) spend(frame, LIST_COST);
        throw error;
      }
      spend(frame, LIST_COST);
      return new ArrayList(items);
    });
  }

  #map(expr: Extract<Expr, { kind: "map" }>): Planned {
    const planned = expr.entries.map(({ key, value, optional }) => ({
      key: this.#plan(key),
      value: this.#plan(value),
      optional,
    }));
    const entries = planned.map(({ key, value, optional }) => ({ key: codeOf(key), value: codeOf(value), optional }));
    const make = (frame: Frame): Value => {
      const made = new Map<string, [Value, Value]>();
      for (const entry of entries) {
        const key = entry.key(frame);
        let value = entry.value(frame);
        const text = mapKey(key) ?? show(key);
        if (entry.optional) {
          if (!(value instanceof Optional))
            throw new CelError(
              `cannot initialize optional entry '${show(key)}' from non-optional value ${show(value)}`,
            );
          if (value.value === undefined) {
            made.delete(text);
            continue;
          }
          value = value.value;
        }
        made.set(text, [key, value]);
      }
      return HashMap.of(made.values());
    };
    if (planned.every(({ key, value }) => key.kind === "constant" && value.kind === "constant"))
      return constant(make({ activation: {}, slots: [], cost: 0, limit: Infinity }));
    return code((frame) => {
      let result: Value;
      try {
        result = make(frame);
      } catch (error) {
        if (error instanceof CelError) spend(frame, MAP_COST);
        throw error;
      }
      spend(frame, MAP_COST);
      return result;
    });
  }

  #struct(expr: Extract<Expr, { kind: "struct" }>): Planned {
    const declared = this.#env.struct(expr.type.replace(/^\./, ""));
    const make = declared?.make?.bind(declared);
    const fields = expr.fields.map(({ name, value, optional }) => ({ name, value: this.code(value), optional }));
    return code((frame) => {
      const made = new Map<string, Value>();
      for (const { name, value, optional } of fields) {
        const given = value(frame);
        if (!optional) made.set(name, given);
        else if (given instanceof Optional && given.value !== undefined) made.set(name, given.value);
      }
      spend(frame, STRUCT_COST);
      if (make === undefined) throw new CelError(`unknown type '${expr.type}'`);
      return make(made);
    });
  }

  #call(expr: CallExpr): Planned {
    const name = this.#checked.qualified.get(expr.id) ?? expr.name.replace(/^\./, "");
    const isMember = expr.target !== undefined && !this.#checked.qualified.has(expr.id);
    const exprs = isMember ? [expr.target!, ...expr.args] : expr.args;
    const args = exprs.map((arg) => this.#plan(arg));
    const [first, second, third] = args as [Planned, Planned, Planned];
    switch (name) {
      case OPERATORS.and:
        return code(decided(codeOf(first), codeOf(second), false));
      case OPERATORS.or:
        return code(decided(codeOf(first), codeOf(second), true));
      case OPERATORS.notStrictlyFalse: {
        const run = codeOf(first);
        return code((frame) => {
          let value: Value;
          try {
            value = run(frame);
          } catch (error) {
            if (!(error instanceof CelError)) throw error;
            value = true;
          }
          spend(frame, 1);
          return value !== false;
        });
      }
      case OPERATORS.conditional: {
        const attribute: Choice = { condition: codeOf(first), yes: attributeOf(second), no: attributeOf(third) };
        return { kind: "attribute", attribute, isTest: false };
      }
      case OPERATORS.index:
      case OPERATORS.optIndex:
      case OPERATORS.optSelect: {
        const attribute = attributeOf(first);
        const isOptional = name !== OPERATORS.index;
        qualify(
          attribute,
          second.kind === "constant"
            ? constantQualifier(second.value, isOptional)
            : computedQualifier(second.kind === "attribute" ? resolution(second.attribute) : second.code, isOptional),
        );
        return { kind: "attribute", attribute, isTest: false };
      }
    }
    // `opt.or(x)` and `opt.orValue(x)` look at x only where they need it, for nothing.
    if (isMember && (name === "or" || name === "orValue")) {
      const [target, otherwise] = [codeOf(first), codeOf(second)];
      return code((frame) => {
        const value = target(frame);
        if (!(value instanceof Optional)) return value;
        if (value.value === undefined) return otherwise(frame);
        return name === "or" ? value : value.value;
      });
    }
    const declared = this.#checked.overloads.get(expr.id)!;
    if (name === OPERATORS.in && second.kind === "constant" && declared.length === 1) {
      const among = membership(second.value);
      if (among !== undefined) {
        if (among.size === 0) return constant(false);
        const run = codeOf(first);
        return code((frame) => {
          const key = mapKey(run(frame));
          return key !== undefined && among.has(key);
        });
      }
    }
    const literals = args.map((arg) => (arg.kind === "constant" ? arg.value : undefined));
    const overloads = declared.map((overload) => {
      const run = overload.prepare?.(literals);
      return run === undefined ? overload : { ...overload, run };
    });
    const isPrepared = overloads.some((overload, i) => overload !== declared[i]);
    const run = this.#invoke(name, overloads, args.map(codeOf), isPrepared);
    if (args.length === 1 && first.kind === "constant" && CONVERSIONS.includes(name))
      return constant(run({ activation: {}, slots: [], cost: 0, limit: Infinity }));
    return code(run);
  }

  #invoke(name: string, overloads: readonly Overload[], args: readonly Code[], isPrepared: boolean): Code {
    const callCost = this.#callCost;
    // Which overload it is, is known to the bill only where the types of the arguments tell it.
    const id = overloads.length === 1 ? overloads[0]!.id : "";
    const bill = (frame: Frame, values: readonly Value[], result: Value) =>
      spend(frame, callCost(name, id, values, result) ?? 1);
    const call = (frame: Frame, values: readonly Value[]): Value => {
      let result: Value;
      try {
        const overload = overloads.find(({ params }) => params.every((param, i) => fits(param, values[i]!)));
        if (overload === undefined) throw new CelError(noOverload(name, values));
        assert(overload.run !== undefined, `${overload.id} has nothing to run`);
        result = overload.run(...values);
      } catch (error) {
        if (error instanceof CelError) bill(frame, values, null);
        throw error;
      }
      bill(frame, values, result);
      return result;
    };
    // What is prepared, or found by its arguments, takes them one by one, as calls with many do.
    if (args.length > 2 || isPrepared || (overloads.length > 1 && /^[a-zA-Z]/.test(name)))
      return (frame) => {
        const values: Value[] = [];
        for (const arg of args) {
          try {
            values.push(arg(frame));
          } catch (error) {
            if (error instanceof CelError && values.length === args.length - 1) bill(frame, [...values, null], null);
            throw error;
          }
        }
        return call(frame, values);
      };
    // Of one or two both are evaluated, whatever becomes of the first.
    return (frame) => {
      const values: Value[] = [];
      let failure: CelError | undefined;
      for (const arg of args) {
        try {
          values.push(arg(frame));
        } catch (error) {
          if (!(error instanceof CelError)) throw error;
          failure ??= error;
          values.push(null);
        }
      }
      if (failure === undefined) return call(frame, values);
      bill(frame, values, null);
      throw failure;
    };
  }

  #loop(expr: Comprehension): Code {
    const range = this.code(expr.range);
    const initial = this.code(expr.initial);
    const accumulator = this.slots++;
    const first = this.slots++;
    const second = expr.second === undefined ? undefined : this.slots++;
    // The accumulator gets its first value once somebody asks for it.
    this.#open(expr.accumulator, (frame) => {
      let value = frame.slots[accumulator];
      if (value === undefined) {
        try {
          value = growing(initial(frame));
        } catch (error) {
          if (!(error instanceof CelError)) throw error;
          value = error;
        }
        frame.slots[accumulator] = value;
      }
      if (value instanceof CelError) throw value;
      return value;
    });
    this.#open(expr.variable, (frame) => frame.slots[first] as Value);
    if (second !== undefined) this.#open(expr.second!, (frame) => frame.slots[second] as Value);
    const condition = this.code(expr.condition);
    const step = this.code(expr.step);
    if (second !== undefined) this.#close(expr.second!);
    this.#close(expr.variable);
    const result = this.code(expr.result);
    this.#close(expr.accumulator);
    const alwaysGoesOn = expr.condition.kind === "literal" && expr.condition.value === true;
    return (frame) => {
      const over = range(frame);
      const { slots } = frame;
      slots[accumulator] = undefined;
      const turn = (): boolean => {
        if (!alwaysGoesOn && !goesOn(condition, frame)) return false;
        try {
          slots[accumulator] = step(frame);
        } catch (error) {
          if (!(error instanceof CelError)) throw error;
          // The failure becomes the accumulator's value: a later element may still decide.
          slots[accumulator] = error;
        }
        return true;
      };
      if (over instanceof ListValue) {
        for (let i = 0; i < over.size; i++) {
          slots[first] = second === undefined ? over.at(i) : BigInt(i);
          if (second !== undefined) slots[second] = over.at(i);
          if (!turn()) break;
        }
      } else if (over instanceof MapValue) {
        for (const key of over.keys()) {
          slots[first] = key;
          if (second !== undefined) slots[second] = over.get(key)!;
          if (!turn()) break;
        }
      } else if (second === undefined) throw new CelError(`got '${nativeName(over)}', expected iterable type`);
      else throw new CelError(`unsupported comprehension range type: ${nativeName(over)}`);
      return result(frame);
    };
  }

  #open(name: string, read: Code): void {
    const local = this.#scope.get(name);
    if (local === undefined) this.#scope.set(name, [read]);
    else local.push(read);
  }
  #close(name: string): void {
    const local = this.#scope.get(name)!;
    local.pop();
    if (local.length === 0) this.#scope.delete(name);
  }
}

/** A loop ends only where its condition is plainly false; a failing condition lets it go on. */
function goesOn(condition: Code, frame: Frame): boolean {
  try {
    return condition(frame) !== false;
  } catch (error) {
    if (error instanceof CelError) return true;
    throw error;
  }
}

/** An accumulator that starts empty is filled in place, so that building a list of n elements does not take n² steps. */
function growing(value: Value): Value {
  if (value instanceof ListValue && value.size === 0) return GrowingList.empty();
  if (value instanceof HashMap && value.size === 0) return GrowingMap.empty();
  return value;
}

/** `&&` with `decider` false, `||` with `decider` true: an operand equal to the decider settles the result, whatever the other one fails with. */
function decided(left: Code, right: Code, decider: boolean): Code {
  return (frame) => {
    let failure: CelError | undefined;
    for (const side of [left, right]) {
      try {
        const value = side(frame);
        if (value === decider) return decider;
        if (typeof value !== "boolean") failure ??= new CelError(NO_OVERLOAD);
      } catch (error) {
        if (!(error instanceof CelError)) throw error;
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    return !decider;
  };
}

/** The keys of a constant list, where every element can be one: `x in [..]` is then a look-up in a set. */
function membership(value: Value): ReadonlySet<string> | undefined {
  if (!(value instanceof ListValue)) return undefined;
  const keys = new Set<string>();
  for (const element of value) {
    const key = mapKey(element);
    if (key === undefined) return undefined;
    keys.add(key);
  }
  return keys;
}
