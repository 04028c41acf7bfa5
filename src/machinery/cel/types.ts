/** Types of expressions, and assignability. Upstream: github.com/google/cel-go common/types/types.go, checker/types.go */
export type TypeKind =
  | "dyn"
  | "error"
  | "null"
  | "bool"
  | "int"
  | "uint"
  | "double"
  | "string"
  | "bytes"
  | "timestamp"
  | "duration"
  | "list"
  | "map"
  | "struct"
  | "opaque"
  | "type"
  | "parameter";

export interface Type {
  readonly kind: TypeKind;
  /** As shown and as compared: of structs, opaque types and parameters it is their own. */
  readonly name: string;
  readonly parameters: readonly Type[];
}

const simple = (kind: TypeKind, name: string = kind): Type => ({ kind, name, parameters: [] });
export const DYN = simple("dyn");
export const ERROR = simple("error", "!error!");
export const NULL = simple("null", "null_type");
export const BOOL = simple("bool");
export const INT = simple("int");
export const UINT = simple("uint");
export const DOUBLE = simple("double");
export const STRING = simple("string");
export const BYTES = simple("bytes");
export const TIMESTAMP = simple("timestamp", "google.protobuf.Timestamp");
export const DURATION = simple("duration", "google.protobuf.Duration");
export const list = (element: Type): Type => ({ kind: "list", name: "list", parameters: [element] });
export const map = (key: Type, value: Type): Type => ({ kind: "map", name: "map", parameters: [key, value] });
export const typeOf = (type: Type): Type => ({ kind: "type", name: "type", parameters: [type] });
export const struct = (name: string): Type => simple("struct", name);
export const opaque = (name: string, ...parameters: Type[]): Type => ({ kind: "opaque", name, parameters });
export const optional = (type: Type): Type => opaque("optional_type", type);
export const parameter = (name: string): Type => simple("parameter", name);
export const A = parameter("A");
export const B = parameter("B");

export const isOptional = (type: Type): boolean => type.kind === "opaque" && type.name === "optional_type";

/** As messages show it. */
export function formatType(type: Type): string {
  switch (type.kind) {
    case "null":
      return "null";
    case "timestamp":
      return "timestamp";
    case "duration":
      return "duration";
    default:
      return type.parameters.length === 0
        ? type.name
        : `${type.name}(${type.parameters.map((parameter) => formatType(parameter)).join(", ")})`;
  }
}

/** As results are named: by the types' full names. */
export function typeText(type: Type): string {
  return type.parameters.length === 0 ? type.name : `${type.name}(${type.parameters.map(typeText).join(", ")})`;
}

/** `applied to 'string.(int, int)'` or `'(int, int)'`. */
export function formatSignature(isInstance: boolean, args: readonly Type[]): string {
  const shown = args.map(formatType);
  return isInstance ? `${shown[0]}.(${shown.slice(1).join(", ")})` : `(${shown.join(", ")})`;
}

export function equalTypes(a: Type, b: Type): boolean {
  return (
    a === b ||
    (a.kind === b.kind &&
      a.name === b.name &&
      a.parameters.length === b.parameters.length &&
      a.parameters.every((parameter, i) => equalTypes(parameter, b.parameters[i]!)))
  );
}

export const isDynamic = (type: Type): boolean => type.kind === "dyn" || type.kind === "error";

/** What type parameters stand for so far. */
export type Mapping = Map<string, Type>;

export function substitute(mapping: Mapping, type: Type, unbound?: Type): Type {
  if (type.kind === "parameter") {
    const bound = mapping.get(type.name);
    if (bound !== undefined) return substitute(mapping, bound, unbound);
    return unbound ?? type;
  }
  if (type.parameters.length === 0) return type;
  return { ...type, parameters: type.parameters.map((inner) => substitute(mapping, inner, unbound)) };
}

/** Whether a value of type `from` may stand where `to` is wanted; binds parameters in `mapping` as far as it got. */
export function assignable(mapping: Mapping, from: Type, to: Type): boolean {
  if (to.kind === "parameter") {
    const { valid, isBound } = bind(mapping, from, to);
    if (valid) return true;
    if (isBound) return false;
  }
  if (from.kind === "parameter") return bind(mapping, to, from).valid;
  if (isDynamic(from) || isDynamic(to)) return true;
  if (from.kind === "null") return isNullable(to);
  if (to.kind === "null") return isNullable(from);
  if (from.kind !== to.kind || from.parameters.length !== to.parameters.length) return false;
  if ((from.kind === "struct" || from.kind === "opaque") && from.name !== to.name) return false;
  if (from.kind === "type") return true;
  return from.parameters.every((inner, i) => assignable(mapping, inner, to.parameters[i]!));
}

/** All at once: where one fails, nothing is bound. */
export function assignableAll(mapping: Mapping, from: readonly Type[], to: readonly Type[]): Mapping | undefined {
  if (from.length !== to.length) return undefined;
  const attempt = new Map(mapping);
  return from.every((type, i) => assignable(attempt, type, to[i]!)) ? attempt : undefined;
}

function isNullable(type: Type): boolean {
  return ["null", "struct", "opaque", "timestamp", "duration", "dyn", "error"].includes(type.kind);
}

function bind(mapping: Mapping, type: Type, parameter: Type): { readonly valid: boolean; readonly isBound: boolean } {
  if (type.kind === "parameter" && type.name === parameter.name) return { valid: true, isBound: true };
  const bound = mapping.get(parameter.name);
  if (bound !== undefined) {
    if (!assignable(mapping, type, bound)) return { valid: false, isBound: true };
    if (mostGeneral(type, bound) === type && !refersTo(mapping, type, parameter)) mapping.set(parameter.name, type);
    return { valid: true, isBound: true };
  }
  if (refersTo(mapping, type, parameter)) return { valid: false, isBound: false };
  mapping.set(parameter.name, type);
  return { valid: true, isBound: false };
}

function refersTo(mapping: Mapping, type: Type, parameter: Type): boolean {
  if (type.kind === "parameter") {
    if (type.name === parameter.name) return true;
    const bound = mapping.get(type.name);
    return bound !== undefined && refersTo(mapping, bound, parameter);
  }
  return type.parameters.some((inner) => refersTo(mapping, inner, parameter));
}

export function mostGeneral(a: Type, b: Type): Type {
  return isEqualOrLessSpecific(a, b) ? a : b;
}

function isEqualOrLessSpecific(a: Type, b: Type): boolean {
  if (isDynamic(a) || a.kind === "parameter") return true;
  if (isDynamic(b) || b.kind === "parameter") return false;
  if (a.kind !== b.kind || a.parameters.length !== b.parameters.length) return false;
  if (a.kind === "opaque" && a.name !== b.name) return false;
  if (a.kind === "opaque" || a.kind === "list" || a.kind === "map")
    return a.parameters.every((inner, i) => isEqualOrLessSpecific(inner, b.parameters[i]!));
  if (a.kind === "type") return true;
  return equalTypes(a, b);
}
