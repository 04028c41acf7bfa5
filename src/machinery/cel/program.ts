/**
 * A checked expression as something to run: each node becomes a closure once, and running it is calling them. Cost is counted on the way,
 * and running out of it ends the run.
 *
 * Failures are thrown; `&&`, `||` and the loops of macros catch those that the other side decides without.
 *
 * Upstream: github.com/google/cel-go interpreter/{planner,interpretable,runtimecost}.go
 */
import { assert } from "../../base/assert.ts";
import { OPERATORS, type CallExpr, type Comprehension, type Expr } from "./ast.ts";
import type { Checked } from "./checker.ts";
import type { Environment, Overload } from "./environment.ts";
import { equals, valueType } from "./operations.ts";
import type { Type } from "./types.ts";
import {
  ArrayList,
  CelAbort,
  CelError,
  GrowingList,
  HashMap,
  ListValue,
  mapKey,
  MapValue,
  Opaque,
  Optional,
  Timestamp,
  Duration,
  TypeValue,
  Uint,
  type Value,
} from "./values.ts";

/** What variables hold. A function is asked once the variable is needed; what it throws is the variable's failure. */
export type Activation = Readonly<Record<string, Value | ((frame: Frame) => Value)>>;

/** The cost of a call by its overload; undefined for the usual 1. */
export type CallCost = (name: string, overload: string, args: readonly Value[], result: Value) => number | undefined;

export interface Frame {
  readonly activation: Activation;
  readonly slots: (Value | CelError)[];
  cost: number;
  readonly limit: number;
}

export interface Outcome {
  readonly value: Value;
  readonly cost: number;
}

/** A failure of a run, with what it had cost until then. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
  readonly cost: number;
  readonly isLimit: boolean;
  constructor(message: string, cost: number, isLimit: boolean) {
    super(message);
    this.cost = cost;
    this.isLimit = isLimit;
  }
}

type Code = (frame: Frame) => Value;

export class Program {
  readonly #code: Code;
  readonly #slots: number;

  constructor(env: Environment, checked: Checked, callCost: CallCost) {
    const planner = new Planner(env, checked, callCost);
    this.#code = planner.plan(checked.expr);
    this.#slots = planner.slots;
  }

  /** Throws `EvaluationError`. */
  run(activation: Activation, limit = Infinity): Outcome {
    const frame: Frame = { activation, slots: new Array<Value>(this.#slots).fill(null), cost: 0, limit };
    try {
      const value = this.#code(frame);
      return { value, cost: frame.cost };
    } catch (error) {
      if (error instanceof CelError) throw new EvaluationError(error.message, frame.cost, false);
      if (error instanceof CelAbort) throw new EvaluationError(error.message, frame.cost, true);
      if (error instanceof RangeError) throw new EvaluationError("expression is nested too deeply", frame.cost, false);
      throw error;
    }
  }
}

function spend(frame: Frame, cost: number): void {
  frame.cost += cost;
  if (frame.cost > frame.limit) throw new CelAbort("operation cancelled: actual cost limit exceeded");
}

const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;
const NO_OVERLOAD = "no such overload";

class Planner {
  readonly #env: Environment;
  readonly #checked: Checked;
  readonly #callCost: CallCost;
  readonly #scope = new Map<string, number[]>();
  slots = 0;

  constructor(env: Environment, checked: Checked, callCost: CallCost) {
    this.#env = env;
    this.#checked = checked;
    this.#callCost = callCost;
  }

  plan(expr: Expr): Code {
    switch (expr.kind) {
      case "literal": {
        const { value } = expr;
        return () => value;
      }
      case "ident":
        return this.#name(this.#checked.names.get(expr.id) ?? expr.name);
      case "select": {
        const name = this.#checked.names.get(expr.id);
        if (name !== undefined) return this.#name(name);
        const operand = this.plan(expr.operand);
        const { field } = expr;
        if (expr.testOnly) return (frame) => has(operand(frame), field);
        return (frame) => {
          const value = operand(frame);
          spend(frame, 1);
          return select(value, field);
        };
      }
      case "list":
        return this.#list(expr);
      case "map": {
        const entries = expr.entries.map(({ key, value, optional }) => ({
          key: this.plan(key),
          value: this.plan(value),
          optional,
        }));
        return (frame) => {
          const made: [Value, Value][] = [];
          const seen = new Set<string>();
          for (const entry of entries) {
            const key = entry.key(frame);
            let value = entry.value(frame);
            if (entry.optional) {
              if (!(value instanceof Optional))
                throw new CelError(`cannot initialize optional entry '${String(key)}' from non-optional value`);
              if (value.value === undefined) continue;
              value = value.value;
            }
            const text = mapKey(key);
            if (text === undefined || typeof key === "number")
              throw new CelError(`unsupported key type: ${valueType(key).name}`);
            if (seen.has(text))
              throw new CelError(`Failed with repeated key: ${String(key instanceof Uint ? key.value : key)}`);
            seen.add(text);
            made.push([key, value]);
          }
          spend(frame, MAP_COST);
          return HashMap.of(made);
        };
      }
      case "struct": {
        const declared = this.#env.struct(expr.type.replace(/^\./, ""));
        const make = declared?.make?.bind(declared);
        const fields = expr.fields.map(({ name, value, optional }) => ({ name, value: this.plan(value), optional }));
        return (frame) => {
          const made = new Map<string, Value>();
          for (const { name, value, optional } of fields) {
            const given = value(frame);
            if (!optional) made.set(name, given);
            else if (given instanceof Optional && given.value !== undefined) made.set(name, given.value);
          }
          spend(frame, STRUCT_COST);
          if (make === undefined) throw new CelError(`unknown type '${expr.type}'`);
          return make(made);
        };
      }
      case "call":
        return this.#call(expr);
      case "comprehension":
        return this.#loop(expr);
    }
  }

  #name(name: string): Code {
    const slot = this.#scope.get(name)?.at(-1);
    if (slot !== undefined)
      return (frame) => {
        spend(frame, 1);
        const value = frame.slots[slot]!;
        if (value instanceof CelError) throw value;
        return value;
      };
    const type = this.#env.variable(name) === undefined ? this.#env.type(name) : undefined;
    if (type !== undefined) {
      const value = new TypeValue(type);
      return (frame) => {
        spend(frame, 1);
        return value;
      };
    }
    return (frame) => {
      spend(frame, 1);
      const value = frame.activation[name];
      if (value === undefined) throw new CelError(`no such attribute(s): ${name}`);
      return typeof value === "function" ? value(frame) : value;
    };
  }

  #list(expr: Extract<Expr, { kind: "list" }>): Code {
    const elements = expr.elements.map((element) => this.plan(element));
    const { optional } = expr;
    return (frame) => {
      const items: Value[] = [];
      for (let i = 0; i < elements.length; i++) {
        const value = elements[i]!(frame);
        if (!optional.has(i)) items.push(value);
        else if (!(value instanceof Optional))
          throw new CelError("cannot initialize optional list element from non-optional value");
        else if (value.value !== undefined) items.push(value.value);
      }
      spend(frame, LIST_COST);
      return new ArrayList(items);
    };
  }

  #call(expr: CallExpr): Code {
    const name = this.#checked.qualified.get(expr.id) ?? expr.name.replace(/^\./, "");
    const args = expr.args.map((arg) => this.plan(arg));
    const [first, second, third] = args as [Code, Code, Code];
    switch (name) {
      case OPERATORS.and:
        return (frame) => decided(frame, first, second, false);
      case OPERATORS.or:
        return (frame) => decided(frame, first, second, true);
      case OPERATORS.notStrictlyFalse:
        return (frame) => {
          try {
            const value = first(frame);
            spend(frame, 1);
            return value !== false;
          } catch (error) {
            if (error instanceof CelError) return true;
            throw error;
          }
        };
      case OPERATORS.conditional:
        return (frame) => {
          const condition = first(frame);
          if (typeof condition !== "boolean") throw new CelError(NO_OVERLOAD);
          return condition ? second(frame) : third(frame);
        };
      case OPERATORS.index:
        return (frame) => {
          const target = first(frame);
          const at = second(frame);
          spend(frame, 1);
          return index(target, at);
        };
      case OPERATORS.optIndex:
        return (frame) => {
          const target = first(frame);
          const at = second(frame);
          spend(frame, 1);
          return optionalOf(target, (value) => indexOrNone(value, at));
        };
      case OPERATORS.optSelect: {
        const field = expr.args[1]!.kind === "literal" ? (expr.args[1]!.value as string) : "";
        return (frame) => {
          const target = first(frame);
          spend(frame, 1);
          return optionalOf(target, (value) => fieldOf(value, field));
        };
      }
    }
    // `opt.or(x)` and `opt.orValue(x)` look at x only where they need it.
    if (expr.target !== undefined && !this.#checked.qualified.has(expr.id) && (name === "or" || name === "orValue")) {
      const target = this.plan(expr.target);
      return (frame) => {
        const value = target(frame);
        spend(frame, 1);
        if (!(value instanceof Optional)) throw new CelError(NO_OVERLOAD);
        if (value.value === undefined) return first(frame);
        return name === "or" ? value : value.value;
      };
    }
    const isMember = expr.target !== undefined && !this.#checked.qualified.has(expr.id);
    const all = isMember ? [this.plan(expr.target!), ...args] : args;
    const exprs = isMember ? [expr.target!, ...expr.args] : expr.args;
    const overloads = this.#checked.overloads.get(expr.id)!;
    const isCertain =
      overloads.length === 1 && exprs.every((arg, i) => isStatic(this.#checked.typeOf(arg), overloads[0]!.params[i]!));
    const literals = exprs.map((arg) => (arg.kind === "literal" ? arg.value : undefined));
    const prepared = overloads.map((overload) => {
      const run = overload.prepare?.(literals);
      return run === undefined ? overload : { ...overload, run };
    });
    return this.#invoke(name, prepared, all, isCertain);
  }

  #invoke(name: string, overloads: readonly Overload[], args: readonly Code[], isCertain: boolean): Code {
    const callCost = this.#callCost;
    const only = overloads[0]!;
    return (frame) => {
      const values = new Array<Value>(args.length);
      for (let i = 0; i < args.length; i++) values[i] = args[i]!(frame);
      const overload = isCertain
        ? only
        : overloads.find(({ params }) => params.every((param, i) => fits(param, values[i]!)));
      if (overload === undefined) throw new CelError(NO_OVERLOAD);
      assert(overload.run !== undefined, `${overload.id} has nothing to run`);
      let result: Value;
      try {
        result = overload.run(...values);
      } catch (error) {
        if (error instanceof CelError) spend(frame, callCost(name, overload.id, values, null) ?? 1);
        throw error;
      }
      spend(frame, callCost(name, overload.id, values, result) ?? 1);
      return result;
    };
  }

  #loop(expr: Comprehension): Code {
    const range = this.plan(expr.range);
    const initial = isEmptyList(expr.initial) ? startOfList : this.plan(expr.initial);
    const accumulator = this.#open(expr.accumulator);
    const first = this.#open(expr.variable);
    const second = expr.second === undefined ? undefined : this.#open(expr.second);
    const condition = this.plan(expr.condition);
    const step = this.plan(expr.step);
    if (expr.second !== undefined) this.#close(expr.second);
    this.#close(expr.variable);
    const result = this.plan(expr.result);
    this.#close(expr.accumulator);
    const alwaysGoesOn = expr.condition.kind === "literal" && expr.condition.value === true;
    return (frame) => {
      const over = range(frame);
      const { slots } = frame;
      slots[accumulator] = initial(frame);
      const turn = (): boolean => {
        if (!alwaysGoesOn && condition(frame) === false) return false;
        try {
          slots[accumulator] = step(frame);
        } catch (error) {
          if (!(error instanceof CelError)) throw error;
          // The failure becomes the accumulator's value: a later element may still decide.
          slots[accumulator] = error;
          return !alwaysGoesOn;
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
      } else throw new CelError(`got '${valueType(over).name}', expected iterable type`);
      return result(frame);
    };
  }

  #open(name: string): number {
    const slot = this.slots++;
    const slots = this.#scope.get(name) ?? [];
    this.#scope.set(name, slots);
    slots.push(slot);
    return slot;
  }
  #close(name: string): void {
    const slots = this.#scope.get(name)!;
    slots.pop();
    if (slots.length === 0) this.#scope.delete(name);
  }
}

const isEmptyList = (expr: Expr): boolean => expr.kind === "list" && expr.elements.length === 0;
const startOfList: Code = (frame) => {
  spend(frame, LIST_COST);
  return GrowingList.empty();
};

/** `&&` with `decider` false, `||` with true: the side that is the decider wins over a failure of the other. */
function decided(frame: Frame, left: Code, right: Code, decider: boolean): Value {
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
}

function has(value: Value, field: string): boolean {
  if (value instanceof Optional) return value.value !== undefined && has(value.value, field);
  if (value instanceof Opaque && value.has !== undefined) return value.has(field);
  if (value instanceof MapValue) return value.get(field) !== undefined;
  throw new CelError(`no such key: ${field}`);
}

/** Undefined where there is no such field. */
function fieldOf(value: Value, field: string): Value | undefined {
  if (value instanceof MapValue) return value.get(field);
  if (value instanceof Opaque && value.field !== undefined) return value.field(field);
  throw new CelError(NO_OVERLOAD);
}

function select(value: Value, field: string): Value {
  if (value instanceof Optional) return optionalOf(value, (inner) => fieldOf(inner, field));
  const found = fieldOf(value, field);
  if (found === undefined) throw new CelError(`no such key: ${field}`);
  return found;
}

function optionalOf(target: Value, get: (value: Value) => Value | undefined): Value {
  const value = target instanceof Optional ? target.value : target;
  if (value === undefined) return Optional.none;
  const found = get(value);
  return found === undefined ? Optional.none : new Optional(found);
}

function wholeNumber(at: Value): number | undefined {
  if (typeof at === "bigint") return Number(at);
  if (at instanceof Uint) return Number(at.value);
  if (typeof at === "number" && Number.isInteger(at)) return at;
  return undefined;
}

function indexOrNone(value: Value, at: Value): Value | undefined {
  if (value instanceof ListValue) {
    const number = wholeNumber(at);
    if (number === undefined) throw new CelError(NO_OVERLOAD);
    return number >= 0 && number < value.size ? value.at(number) : undefined;
  }
  if (value instanceof MapValue) return value.get(at);
  return typeof at === "string" ? fieldOf(value, at) : undefined;
}

function index(value: Value, at: Value): Value {
  if (value instanceof Optional) return optionalOf(value, (inner) => indexOrNone(inner, at));
  const found = indexOrNone(value, at);
  if (found !== undefined) return found;
  if (value instanceof ListValue) throw new CelError(`index out of bounds: ${String(wholeNumber(at))}`);
  if (value instanceof MapValue) throw new CelError(`no such key: ${showKey(at)}`);
  throw new CelError(NO_OVERLOAD);
}

function showKey(key: Value): string {
  return key instanceof Uint ? String(key.value) : String(key);
}

/** A value of static type `type` needs no look before it is passed for `param`. */
function isStatic(type: Type, param: Type): boolean {
  return param.kind === "parameter" || param.kind === "dyn" || type.kind === param.kind;
}

/** As far as a value shows its type: elements of lists are not looked at. */
export function fits(param: Type, value: Value): boolean {
  switch (param.kind) {
    case "dyn":
    case "parameter":
      return true;
    case "bool":
      return typeof value === "boolean";
    case "int":
      return typeof value === "bigint";
    case "double":
      return typeof value === "number";
    case "string":
      return typeof value === "string";
    case "uint":
      return value instanceof Uint;
    case "bytes":
      return value instanceof Uint8Array;
    case "null":
      return value === null;
    case "timestamp":
      return value instanceof Timestamp;
    case "duration":
      return value instanceof Duration;
    case "list":
      return value instanceof ListValue;
    case "map":
      return value instanceof MapValue;
    case "type":
      return value instanceof TypeValue;
    case "opaque":
    case "struct":
      if (param.name === "optional_type") return value instanceof Optional;
      return value instanceof Opaque && value.type.name === param.name;
    case "error":
      return false;
  }
}

export { equals };
