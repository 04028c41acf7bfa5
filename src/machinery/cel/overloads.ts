/** Which overload of a function takes the given values, and what to say when none does. */
import { OPERATORS } from "./ast.ts";
import { valueType } from "./operations.ts";
import type { Type, TypeKind } from "./types.ts";
import { Duration, ListValue, MapValue, Opaque, Optional, Timestamp, TypeValue, Uint, type Value } from "./values.ts";

export const NO_OVERLOAD = "no such overload";

/** Whether a value can be an argument, as far as it shows its type: of a list or map only the first element is looked at. */
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

function fitsEntry(param: Type, map: MapValue): boolean {
  const [key, value] = param.parameters as [Type, Type];
  if (!isTelling(key) && !isTelling(value)) return true;
  for (const first of map.keys()) return fits(key, first) && fits(value, map.get(first)!);
  return true;
}
const isTelling = ({ kind }: Type): boolean => kind !== "dyn" && kind !== "parameter";

const NUMBERS: readonly TypeKind[] = ["int", "uint", "double"];
const ORDERED: readonly TypeKind[] = [...NUMBERS, "bool", "string", "bytes", "timestamp", "duration"];
/** The kinds that the first argument of an operator may have; for any other kind upstream's message names the operator. */
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

/** Functions whose message does not list the types of the arguments, as that of an operator does not. */
const BRIEF: ReadonlySet<string> = new Set(["contains", "startsWith", "endsWith", "matches"]);

export function noOverload(name: string, values: readonly Value[]): string {
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
