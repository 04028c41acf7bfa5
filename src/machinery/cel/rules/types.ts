/**
 * Turns a schema into a CEL type with bounds on the size of its values. A part of the schema without a type of its own is invisible to rules.
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/common/schemas.go, types.go, limits.go
 */
import type { StructType } from "../environment.ts";
import type { SizeOf } from "../library-costs.ts";
import { MAX_REQUEST_BYTES } from "../kubernetes.ts";
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, list, map, STRING, struct, TIMESTAMP, type Type } from "../types.ts";
import {
  escapeName,
  isEmbedded,
  itemsOf,
  type RuleSchema,
  unescapedKeyword,
  valuesOf,
  withIdentity,
} from "./schema.ts";

export interface Declaration {
  readonly type: Type;
  /** Characters, elements or entries. */
  readonly maxElements: number;
  /** Bytes of JSON. */
  readonly minSize: number;
  /** Of objects, by escaped name. */
  readonly fields?: ReadonlyMap<string, Declaration>;
  /** Of lists and maps. */
  readonly element?: Declaration;
  readonly key?: Declaration;
}

const LONGEST_TEXT = MAX_REQUEST_BYTES - 2;
const DATE_SIZE = 12;
const TIME_SIZE = 32;
const simple = (type: Type, minSize: number, maxElements = 0): Declaration => ({ type, minSize, maxElements });
const KEY = simple(STRING, 2);

/** `name` is what objects inside are called after; undefined where rules see nothing of the schema. */
export function declare(schema: RuleSchema, isRoot: boolean, name: string): Declaration | undefined {
  if (schema["x-kubernetes-int-or-string"] === true)
    return simple(DYN, 1, schema.maxLength === undefined ? LONGEST_TEXT : Math.max(0, schema.maxLength) * 4);
  const whole = isRoot ? withIdentity(schema) : schema;
  switch (whole.type) {
    case "array": {
      const items = itemsOf(whole);
      const element = items && declare(items, isEmbedded(items), `${name}.@idx`);
      if (element === undefined) return undefined;
      const most =
        whole.maxItems === undefined ? Math.floor(LONGEST_TEXT / (element.minSize + 1)) : Math.max(0, whole.maxItems);
      return { type: list(element.type), element, minSize: 2, maxElements: most };
    }
    case "object":
      return declareObject(whole, name);
    case "string":
      return declareText(whole);
    case "boolean":
      return simple(BOOL, 4);
    case "number":
      return simple(DOUBLE, 1);
    case "integer":
      return simple(INT, 1);
    default:
      return undefined;
  }
}

function declareObject(schema: RuleSchema, name: string): Declaration | undefined {
  const values = valuesOf(schema);
  if (values !== undefined) {
    const element = declare(values, isEmbedded(values), `${name}.@elem`);
    if (element === undefined) return undefined;
    const most =
      schema.maxProperties === undefined
        ? Math.floor(LONGEST_TEXT / (element.minSize + 6))
        : Math.max(0, schema.maxProperties);
    return { type: map(STRING, element.type), element, key: KEY, minSize: 2, maxElements: most };
  }
  const fields = new Map<string, Declaration>();
  let minSize = 2;
  for (const [property, inner] of Object.entries(schema.properties ?? {})) {
    const escaped = escapeName(property);
    const declared = declare(inner, isEmbedded(inner), `${name}.${escaped ?? property}`);
    if (declared === undefined) continue;
    if (escaped !== undefined) fields.set(escaped, declared);
    if (schema.required?.includes(property) === true && inner.default === undefined)
      minSize += Buffer.byteLength(property) + declared.minSize + 4;
  }
  return { type: struct(name), fields, minSize, maxElements: 0 };
}

function declareText(schema: RuleSchema): Declaration {
  const { maxLength } = schema;
  switch (schema.format) {
    case "byte":
      return simple(BYTES, 2, maxLength === undefined ? LONGEST_TEXT : Math.max(0, maxLength));
    case "duration":
      return simple(DURATION, 3, TIME_SIZE);
    case "date":
      return simple(TIMESTAMP, DATE_SIZE, DATE_SIZE);
    case "date-time":
      return simple(TIMESTAMP, 21, TIME_SIZE);
  }
  if (maxLength !== undefined) return simple(STRING, 2, Math.max(0, maxLength) * 4);
  const longest = (schema.enum ?? []).map((value) => (typeof value === "string" ? Buffer.byteLength(value) : 0));
  return simple(STRING, 2, longest.length > 0 ? Math.max(...longest) : LONGEST_TEXT);
}

/** The objects inside, by name. */
export function structsOf(root: Declaration): (name: string) => StructType | undefined {
  const structs = new Map<string, StructType>();
  const visit = ({ type, fields, element }: Declaration): void => {
    if (fields !== undefined) {
      const field = (name: string) => (fields.get(name) ?? fields.get(unescapedKeyword(name) ?? ""))?.type;
      structs.set(type.name, { type, field });
      for (const inner of fields.values()) visit(inner);
    }
    if (element !== undefined) visit(element);
  };
  visit(root);
  return (name) => structs.get(name);
}

/** How large what stands at a path below `self` or `oldSelf` may be. */
export function sizesOf(root: Declaration): SizeOf {
  return (path) => {
    if (path.length === 0) return undefined;
    let at: Declaration | undefined = root;
    for (const name of path.slice(1)) {
      if (name === "@items" || name === "@values") at = at.element;
      else if (name === "@keys") at = at.key;
      else at = at.fields?.get(name);
      if (at === undefined) return undefined;
    }
    return { min: 0, max: at.maxElements };
  };
}
