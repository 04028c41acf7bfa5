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
import { valueType } from "./operations.ts";
import type { Type, TypeKind } from "./types.ts";
import {
  ArrayList,
  CelAbort,
  CelError,
  GrowingList,
  GrowingMap,
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

type Slot = Value | CelError | undefined;

export interface Frame {
  readonly activation: Activation;
  readonly slots: Slot[];
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

/** A path below a value: `.field`, `[index]`, and their optional kin. */
interface Qualifier {
  readonly isOptional: boolean;
  readonly get: (frame: Frame, value: Value) => Value;
  /** Undefined where there is nothing, which costs nothing. */
  readonly find: (frame: Frame, value: Value) => Value | undefined;
}

/** What a path starts from, and the path. A choice is followed by what stands behind it in both of its branches. */
interface Path {
  readonly base: Code;
  readonly qualifiers: Qualifier[];
}
interface Choice {
  readonly condition: Code;
  readonly yes: Attribute;
  readonly no: Attribute;
}
type Attribute = Path | Choice;

/** A part of the plan, of one of three sorts, which count their costs differently: constants, paths, everything else. */
type Planned =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "attribute"; readonly attribute: Attribute; readonly isTest: boolean }
  | { readonly kind: "code"; readonly code: Code };

const constant = (value: Value): Planned => ({ kind: "constant", value });
const code = (run: Code): Planned => ({ kind: "code", code: run });

function qualify(attribute: Attribute, qualifier: Qualifier): void {
  if ("base" in attribute) attribute.qualifiers.push(qualifier);
  else {
    qualify(attribute.yes, qualifier);
    qualify(attribute.no, qualifier);
  }
}

/** Without the cost of the path as a whole. */
function resolution(attribute: Attribute): Code {
  if (!("base" in attribute)) {
    const yes = resolution(attribute.yes);
    const no = resolution(attribute.no);
    return (frame) => {
      const condition = attribute.condition(frame);
      if (typeof condition !== "boolean") throw new CelError(NO_OVERLOAD);
      return condition ? yes(frame) : no(frame);
    };
  }
  const { base, qualifiers } = attribute;
  if (qualifiers.length === 0) return base;
  return (frame) => {
    let value = base(frame);
    let isOptional = false;
    if (value instanceof Optional) {
      if (value.value === undefined) return value;
      value = value.value;
      isOptional = true;
    }
    for (const qualifier of qualifiers) {
      isOptional ||= qualifier.isOptional;
      if (!isOptional) {
        value = qualifier.get(frame, value);
        continue;
      }
      const found = qualifier.find(frame, value);
      if (found === undefined) return Optional.none;
      value = found;
    }
    return isOptional ? new Optional(value) : value;
  };
}

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

export class Program {
  readonly #code: Code;
  readonly #slots: number;

  constructor(env: Environment, checked: Checked, callCost: CallCost) {
    const planner = new Planner(env, checked, callCost);
    this.#code = planner.code(checked.expr);
    this.#slots = planner.slots;
  }

  /** Throws `EvaluationError`. */
  run(activation: Activation, limit = Infinity): Outcome {
    const slots = Array.from<Slot>({ length: this.#slots });
    const frame: Frame = { activation, slots, cost: 0, limit };
    try {
      const value = this.#code(frame);
      return { value, cost: frame.cost };
    } catch (error) {
      if (error instanceof CelError) throw new EvaluationError(error.message, frame.cost, false);
      if (error instanceof CelAbort) throw new EvaluationError(error.message, frame.cost, error.message === LIMIT);
      if (error instanceof RangeError) throw new EvaluationError("expression is nested too deeply", frame.cost, false);
      throw error;
    }
  }
}

export function spend(frame: Frame, cost: number): void {
  frame.cost += cost;
  if (frame.cost > frame.limit) throw new CelAbort(LIMIT);
}

const LIMIT = "operation cancelled: actual cost limit exceeded";
const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;
const NO_OVERLOAD = "no such overload";
/** With one argument that is constant they are evaluated when the program is made. */
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

class Planner {
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

function fitsEntry(param: Type, map: MapValue): boolean {
  const [key, value] = param.parameters as [Type, Type];
  if (!isTelling(key) && !isTelling(value)) return true;
  for (const first of map.keys()) return fits(key, first) && fits(value, map.get(first)!);
  return true;
}
const isTelling = ({ kind }: Type): boolean => kind !== "dyn" && kind !== "parameter";

const NUMBERS: readonly TypeKind[] = ["int", "uint", "double"];
const ORDERED: readonly TypeKind[] = [...NUMBERS, "bool", "string", "bytes", "timestamp", "duration"];
/** What the first argument of an operator may be at all; of others upstream names the operator. */
const TRAITS: Readonly<Record<string, readonly TypeKind[]>> = {
  [OPERATORS.add]: [...NUMBERS, "string", "bytes", "list", "timestamp", "duration"],
  [OPERATORS.subtract]: [...NUMBERS, "timestamp", "duration"],
  [OPERATORS.multiply]: NUMBERS,
  [OPERATORS.divide]: NUMBERS,
  [OPERATORS.modulo]: ["int", "uint"],
  [OPERATORS.negate]: ["int", "double", "bool", "duration"],
  [OPERATORS.not]: ["int", "double", "bool", "duration"],
  [OPERATORS.less]: ORDERED,
  [OPERATORS.lessEquals]: ORDERED,
  [OPERATORS.greater]: ORDERED,
  [OPERATORS.greaterEquals]: ORDERED,
  size: ["string", "bytes", "list", "map"],
};

/** The operators and functions of the language itself say less. */
function noOverload(name: string, values: readonly Value[]): string {
  const traits = Object.hasOwn(TRAITS, name) ? TRAITS[name] : undefined;
  if (traits !== undefined) {
    const { kind } = valueType(values[0]!);
    return traits.includes(kind) || ["string", "timestamp", "duration"].includes(kind)
      ? NO_OVERLOAD
      : `${NO_OVERLOAD}: ${name}`;
  }
  if (!/^[a-zA-Z.]+$/.test(name) || BRIEF.has(name)) return NO_OVERLOAD;
  return `${NO_OVERLOAD}: ${name}(${values.map((value) => valueType(value).name).join(", ")})`;
}
const BRIEF: ReadonlySet<string> = new Set(["contains", "startsWith", "endsWith", "matches"]);

/** Anything but a plain false. */
function goesOn(condition: Code, frame: Frame): boolean {
  try {
    return condition(frame) !== false;
  } catch (error) {
    if (error instanceof CelError) return true;
    throw error;
  }
}

/** What starts empty is filled in place. */
function growing(value: Value): Value {
  if (value instanceof ListValue && value.size === 0) return GrowingList.empty();
  if (value instanceof HashMap && value.size === 0) return GrowingMap.empty();
  return value;
}

/** `&&` with `decider` false, `||` with true: the side that is the decider wins over a failure of the other. */
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

/** The elements of a constant list, where all of them are plain. */
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

function constantQualifier(key: Value, isOptional: boolean): Qualifier {
  if (mapKey(key) === undefined) throw new CelError(`invalid qualifier type: ${nativeName(key)}`);
  return {
    isOptional,
    get: (frame, value) => {
      spend(frame, 1);
      return at(value, key);
    },
    find: (frame, value) => {
      const found = lookUp(value, key);
      if (found !== undefined) spend(frame, 1);
      return found;
    },
  };
}

function computedQualifier(key: Code, isOptional: boolean): Qualifier {
  const valid = (frame: Frame): Value => {
    const value = key(frame);
    if (mapKey(value) === undefined) throw new CelError(`invalid qualifier type: ${nativeName(value)}`);
    return value;
  };
  return {
    isOptional,
    get: (frame, value) => {
      spend(frame, 1);
      return at(value, valid(frame));
    },
    find: (frame, value) => {
      const found = lookUp(value, valid(frame));
      if (found !== undefined) spend(frame, 1);
      return found;
    },
  };
}

/** Of `has()`. */
function presence(field: string): Qualifier {
  return {
    isOptional: false,
    get: (frame, value) => {
      spend(frame, 1);
      return isPresent(value, field);
    },
    find: (frame, value) => {
      if (!isPresent(value, field)) return undefined;
      spend(frame, 1);
      return lookUp(value, field) ?? null;
    },
  };
}

function isPresent(value: Value, field: string): boolean {
  return value instanceof Opaque && value.has !== undefined ? value.has(field) : lookUp(value, field) !== undefined;
}

/** Undefined where there is nothing of that name or at that place. */
function lookUp(value: Value, key: Value): Value | undefined {
  if (value instanceof MapValue) return value.get(key);
  if (value instanceof ListValue) {
    const index = position(key);
    return index >= 0 && index < value.size ? value.at(index) : undefined;
  }
  if (value instanceof Opaque && value.field !== undefined && typeof key === "string") return value.field(key);
  return undefined;
}

function at(value: Value, key: Value): Value {
  const found = lookUp(value, key);
  if (found !== undefined) return found;
  throw new CelError(`${value instanceof ListValue ? "index out of bounds" : "no such key"}: ${show(key)}`);
}

function position(key: Value): number {
  if (typeof key === "bigint") return Number(key);
  if (key instanceof Uint) return Number(key.value);
  if (typeof key !== "number") throw new CelError(`unsupported index type '${valueType(key).name}' in list`);
  if (!Number.isInteger(key)) throw new CelError(`unsupported index value ${show(key)} in list`);
  return key;
}

/** As messages show it. */
export function show(value: Value): string {
  return value instanceof Uint ? String(value.value) : String(value);
}

/** What upstream's implementation calls the values of a type, which one message shows. */
function nativeName(value: Value): string {
  const { kind } = valueType(value);
  switch (kind) {
    case "type":
      return "*types.Type";
    case "opaque":
    case "struct":
      return value instanceof Optional ? "*types.Optional" : valueType(value).name;
    default:
      return `types.${kind[0]!.toUpperCase()}${kind.slice(1)}`;
  }
}

/** As far as a value shows its type: of lists and maps the first element tells it. */
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
      return value instanceof ListValue && (value.size === 0 || fits(param.parameters[0]!, value.at(0)));
    case "map":
      return value instanceof MapValue && fitsEntry(param, value);
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
