/**
 * Operations on objects with a schema: which fields a configuration mentions, what differs between two objects, merging two objects, removing
 * fields, and validation.
 * Upstream: sigs.k8s.io/structured-merge-diff/v6/typed
 */
import { isGivenEmpty } from "../../codec/empties.ts";
import type { Schema } from "../../schema/schema.ts";
import { isEmpty, isObject, jsonEqual, member, setMember, type JsonObject } from "../json-value.ts";
import {
  EMPTY,
  LEAF,
  below,
  elementText,
  fieldElement,
  isEmptySet,
  isOwned,
  union,
  type FieldSet,
} from "./field-set.ts";
import { DEDUCED, ItemError, isDeclared, itemElement, itemsOf, memberSchema, shapeOf, zeroOf } from "./shape.ts";

type Items = ReadonlyMap<string, readonly unknown[]>;

/** The items of a granular list by what identifies them; duplicates are kept together. */
function itemsByElement(schema: Schema, shape: "list" | "set", list: unknown): Items {
  const items = new Map<string, unknown[]>();
  for (const item of (list ?? []) as readonly unknown[]) {
    const element = itemElement(schema, shape, item);
    const known = items.get(element);
    if (known === undefined) items.set(element, [item]);
    else known.push(item);
  }
  return items;
}

// What a configuration mentions.

/** The fields that an applied configuration takes a stand on. */
export function mentioned(object: JsonObject, schema: Schema): FieldSet {
  return mentionedBelow(object, schema);
}

function mentionedBelow(value: unknown, schema: Schema): FieldSet {
  const set: Record<string, FieldSet> = {};
  const shape = shapeOf(schema, value);
  if (shape === "map") {
    for (const [name, inner] of Object.entries((value ?? {}) as JsonObject)) {
      const field = memberSchema(schema, name) ?? DEDUCED;
      if (shapeOf(field, inner) === "leaf") {
        setMember(set, fieldElement(name), LEAF);
        continue;
      }
      const fields = mentionedBelow(inner, field);
      const own = inner === null || (isObject(inner) && isEmpty(inner)) || !isDeclared(schema, name);
      const all = own ? owning(fields) : fields;
      if (own || !isEmptySet(all)) setMember(set, fieldElement(name), all);
    }
  } else if (shape === "list" || shape === "set") {
    for (const [element, items] of itemsByElement(schema, shape, value)) {
      const fields = items.length > 1 ? EMPTY : mentionedBelow(items[0], itemsOf(schema));
      setMember(set, element, owning(fields));
    }
  }
  return set;
}

const owning = (fields: FieldSet): FieldSet => (isEmptySet(fields) ? LEAF : { ".": LEAF, ...fields });

// What changed.

export interface Changes {
  /** Added or modified. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

const NO_CHANGES: Changes = { changed: EMPTY, removed: EMPTY };
const CHANGED: Draft = { changed: LEAF, removed: undefined };
interface Draft {
  readonly changed: FieldSet | undefined;
  readonly removed: FieldSet | undefined;
}

/** What changed between two objects of one version. Subtrees that are one and the same object are not looked at. */
export function compare(old: JsonObject, object: JsonObject, schema: Schema): Changes {
  const draft = compareValues(old, object, schema);
  return draft === undefined ? NO_CHANGES : { changed: draft.changed ?? EMPTY, removed: draft.removed ?? EMPTY };
}

function compareValues(oldGiven: unknown, given: unknown, schema: Schema): Draft | undefined {
  const old = isNilList(oldGiven, schema) ? null : oldGiven;
  const value = isNilList(given, schema) ? null : given;
  if (old === value) return undefined;
  if (old === undefined) return { changed: contents(value, schema), removed: undefined };
  if (value === undefined) return { changed: undefined, removed: contents(old, schema) };
  const shape = shapeOf(schema, value);
  const before = shapeOf(schema, old);
  if (shape === before) return compareAs(shape, old, value, schema);
  // Of two kinds: looked at as the one and as the other. What is null may be a map as well.
  const drafts = [
    compareAs(old === null ? "map" : before, old, value, schema),
    compareAs(value === null ? "map" : shape, old, value, schema),
  ];
  const all = (side: keyof Draft) =>
    drafts.reduce<FieldSet | undefined>((set, draft) => {
      const more = draft?.[side];
      if (set === undefined || more === undefined) return set ?? more;
      return isEmptySet(set) || isEmptySet(more) ? owning(union(set, more)) : union(set, more);
    }, undefined);
  return { changed: all("changed"), removed: all("removed") };
}

/** Objects have an empty list where Go has none at all, unless somebody gave it empty. */
function isNilList(value: unknown, { type, proto, omitEmpty }: Schema): boolean {
  return (
    type === "array" &&
    proto !== undefined &&
    omitEmpty !== true &&
    Array.isArray(value) &&
    value.length === 0 &&
    !isGivenEmpty(value)
  );
}

function compareAs(shape: ReturnType<typeof shapeOf>, old: unknown, value: unknown, schema: Schema): Draft | undefined {
  const isOf = shape === "map" ? isObject : Array.isArray;
  const empty = (one: unknown) => !isOf(one) || isEmpty(one);
  if (shape === "leaf" || (empty(old) && empty(value))) return jsonEqual(old, value) ? undefined : CHANGED;
  if (shape === "map")
    return compareMaps((isObject(old) ? old : {}) as JsonObject, (isObject(value) ? value : {}) as JsonObject, schema);
  return compareLists(Array.isArray(old) ? old : [], Array.isArray(value) ? value : [], schema, shape);
}

function compareMaps(old: JsonObject, object: JsonObject, schema: Schema): Draft | undefined {
  const collect = new Collector();
  for (const name in object) {
    const value = object[name];
    let before = member(old, name);
    if (before === value) continue;
    const field = memberSchema(schema, name) ?? DEDUCED;
    if (before === undefined) before = zeroOf(field, name);
    collect.add(fieldElement(name), compareValues(before, value, field));
  }
  for (const name in old) {
    if (Object.hasOwn(object, name)) continue;
    const field = memberSchema(schema, name) ?? DEDUCED;
    collect.add(fieldElement(name), compareValues(old[name], zeroOf(field, name), field));
  }
  return collect.result();
}

function compareLists(old: unknown, list: unknown, schema: Schema, shape: "list" | "set"): Draft | undefined {
  const collect = new Collector();
  const before = itemsByElement(schema, shape, old);
  const after = itemsByElement(schema, shape, list);
  const inner = itemsOf(schema);
  for (const [element, items] of after) {
    const olds = before.get(element);
    if (items.length === 1 && (olds === undefined || olds.length === 1)) {
      collect.add(element, compareValues(olds?.[0], items[0], inner));
    } else if (olds === undefined) collect.add(element, CHANGED);
    else if (olds.length === 1) {
      collect.add(element, { changed: LEAF, removed: withoutSelf(contents(olds[0], inner)) });
    } else if (items.length === 1) {
      collect.add(element, { changed: withoutSelf(contents(items[0], inner)), removed: LEAF });
    } else if (!jsonEqual(olds, items)) collect.add(element, CHANGED);
  }
  for (const [element, olds] of before) {
    if (after.has(element)) continue;
    collect.add(element, { changed: undefined, removed: olds.length > 1 ? LEAF : contents(olds[0], inner) });
  }
  return collect.result();
}

class Collector {
  #changed: Record<string, FieldSet> | undefined;
  #removed: Record<string, FieldSet> | undefined;

  add(element: string, draft: Draft | undefined): void {
    if (draft === undefined) return;
    if (draft.changed !== undefined) setMember((this.#changed ??= {}), element, draft.changed);
    if (draft.removed !== undefined) setMember((this.#removed ??= {}), element, draft.removed);
  }
  result(): Draft | undefined {
    if (this.#changed === undefined && this.#removed === undefined) return undefined;
    return { changed: this.#changed, removed: this.#removed };
  }
}

function withoutSelf(set: FieldSet): FieldSet | undefined {
  if (isEmptySet(set)) return undefined;
  const { ".": _, ...rest } = set;
  return rest;
}

/** Everything in a value that is on one side only: its own path and that of each leaf and container in it. */
function contents(value: unknown, schema: Schema): FieldSet {
  const shape = shapeOf(schema, value);
  if (shape === "leaf" || isEmpty(value)) return LEAF;
  const set: Record<string, FieldSet> = { ".": LEAF };
  if (shape === "map") {
    const object = value as JsonObject;
    for (const name in object) {
      setMember(set, fieldElement(name), contents(object[name], memberSchema(schema, name) ?? DEDUCED));
    }
  } else {
    for (const [element, items] of itemsByElement(schema, shape, value)) {
      setMember(set, element, items.length > 1 ? LEAF : contents(items[0], itemsOf(schema)));
    }
  }
  return set;
}

// Merging.

/** The live object with the configuration laid over it. Nothing is removed. What doesn't change keeps its identity. */
export function mergeTyped(live: JsonObject, applied: JsonObject, schema: Schema): JsonObject {
  return mergeValues(live, applied, schema) as JsonObject;
}

function mergeValues(live: unknown, applied: unknown, schema: Schema): unknown {
  if (applied === undefined || live === applied) return live;
  if (applied === null && (live === undefined ? zeroOf(schema) === null : isNilList(live, schema))) return live;
  if (live === undefined || live === null || isNilList(live, schema)) return applied;
  const shape = shapeOf(schema, applied);
  // What is null may be a map that says nothing.
  if (applied === null && isObject(live) && schema === DEDUCED && !isEmpty(live)) return live;
  if (shape === "leaf") return jsonEqual(live, applied) ? live : applied;
  if (isEmpty(live)) return isEmpty(applied) && jsonEqual(live, applied) ? live : applied;
  if (isEmpty(applied)) return live;
  if (shapeOf(schema, live) !== shape) return applied;
  return shape === "map"
    ? mergeMaps(live as JsonObject, applied as JsonObject, schema)
    : mergeLists(live as readonly unknown[], applied as readonly unknown[], schema, shape);
}

function mergeMaps(live: JsonObject, applied: JsonObject, schema: Schema): JsonObject {
  let merged: Record<string, unknown> | undefined;
  for (const name of Object.keys(applied)) {
    const old = member(live, name);
    const field = memberSchema(schema, name) ?? DEDUCED;
    const next = mergeValues(old, applied[name], field);
    if (next !== old) setMember((merged ??= { ...live }), name, next);
  }
  return merged ?? live;
}

/**
 * Applied order rules among applied items; items that are only live keep their place relative to the shared ones around them.
 */
function mergeLists(
  live: readonly unknown[],
  applied: readonly unknown[],
  schema: Schema,
  shape: "list" | "set",
): readonly unknown[] {
  const elements = (list: readonly unknown[]) => list.map((item) => itemElement(schema, shape, item));
  const [left, right] = [elements(live), elements(applied)];
  const liveItems = itemsByElement(schema, shape, live);
  const inApplied = new Set(right);
  const shared = right.filter((element) => liveItems.has(element));
  const emitted = new Set<string>();
  const merged: unknown[] = [];
  let next = 0;
  let l = 0;
  let r = 0;
  const emitApplied = () => {
    const element = right[r]!;
    const twins = liveItems.get(element);
    merged.push(mergeValues(twins?.length === 1 ? twins[0] : undefined, applied[r], itemsOf(schema)));
    emitted.add(element);
    if (element === shared[next]) next++;
    r++;
  };
  while (l < left.length || r < right.length) {
    if (l < left.length && r < right.length) {
      if (left[l] === right[r]) {
        l++;
        emitApplied();
        continue;
      }
      if (inApplied.has(left[l]!) && left[l] !== shared[next]) {
        l++; // It comes where the configuration has it.
        continue;
      }
    }
    if (l < left.length) {
      if (!inApplied.has(left[l]!)) {
        merged.push(live[l++]);
        continue;
      }
      if (emitted.has(left[l]!)) l++;
    }
    if (r < right.length) emitApplied();
  }
  return merged.length === live.length && merged.every((item, i) => item === live[i]) ? live : merged;
}

// Removing.

/** The object without the items, map members and struct fields that the set owns. Emptied containers stay, empty. */
export function removeFields(object: JsonObject, schema: Schema, set: FieldSet): JsonObject {
  return remove(object, schema, set) as JsonObject;
}

function remove(value: unknown, schema: Schema, set: FieldSet): unknown {
  if (isEmpty(value) || isEmptySet(set)) return value;
  const shape = shapeOf(schema, value);
  if (shape === "leaf") return value;
  if (shape === "map") {
    let kept: Record<string, unknown> | undefined;
    for (const [name, inner] of Object.entries(value as JsonObject)) {
      const node = set[fieldElement(name)];
      if (node === undefined) continue;
      if (isOwned(node)) delete (kept ??= { ...(value as JsonObject) })[name];
      else {
        const next = remove(inner, memberSchema(schema, name) ?? DEDUCED, node);
        if (next !== inner) setMember((kept ??= { ...(value as JsonObject) }), name, next);
      }
    }
    return kept ?? value;
  }
  let changed = false;
  const kept: unknown[] = [];
  for (const item of value as readonly unknown[]) {
    const node = set[itemElement(schema, shape, item)];
    if (node !== undefined && isOwned(node)) {
      changed = true;
      continue;
    }
    const next = node === undefined ? item : remove(item, itemsOf(schema), node);
    if (next !== item) changed = true;
    kept.push(next);
  }
  return changed ? kept : value;
}

/** The set with every declared struct field on the way to an owned field owned too. */
export function withNamedFields(set: FieldSet, schema: Schema): FieldSet {
  const out: Record<string, FieldSet> = {};
  for (const element in set) {
    if (element === ".") {
      out["."] = LEAF;
      continue;
    }
    const name = element.slice(2);
    const field = element[0] === "f" ? (memberSchema(schema, name) ?? DEDUCED) : itemsOf(schema);
    const node = withNamedFields(below(set, element), field);
    const own = element[0] === "f" && isDeclared(schema, name) && !isOwned(node);
    setMember(out, element, own ? owning(node) : node);
  }
  return out;
}

// Validation.

/** What is wrong with an applied configuration, each with its path; empty where it fits the schema. */
export function checkTyped(object: JsonObject, schema: Schema): readonly string[] {
  const errors: string[] = [];
  check(object, schema, "", errors);
  return errors;
}

/** As upstream prints them: one alone, several on lines of their own. */
export function typedErrorText(errors: readonly string[]): string {
  return errors.length === 1 ? errors[0]! : `errors:\n${errors.map((error) => `  ${error}`).join("\n")}`;
}

function check(value: unknown, schema: Schema, path: string, errors: string[]): void {
  if (value === null || value === undefined) return;
  const complain = (words: string, at = path) => void errors.push(at === "" ? words : `${at}: ${words}`);
  switch (schema.type) {
    case "integer":
    case "number":
      if (typeof value !== "number") complain(`expected numeric (int or float), got ${goType(value)}`);
      return;
    case "boolean":
      if (typeof value !== "boolean") complain(`expected boolean, got &{${goValue(value)}}`);
      return;
    case "string":
      if (schema.format === undefined || schema.format === "byte") {
        if (typeof value !== "string") complain(`expected string, got ${goValueSyntax(value)}`);
      } else if (typeof value === "object") complain(`expected any scalar, got &{${goValue(value)}}`);
      return;
    case "array": {
      if (!Array.isArray(value)) return complain(`expected list, got &{${goValue(value)}}`);
      const shape = shapeOf(schema, value);
      const seen = new Set<string>();
      for (const [i, item] of value.entries()) {
        let at = `${path}[${i}]`;
        if (shape === "list" || shape === "set") {
          try {
            const element = itemElement(schema, shape, item);
            at = path + elementText(element);
            if (seen.has(element)) {
              complain(`duplicate entries for key ${elementText(element)}`);
              continue;
            }
            seen.add(element);
          } catch (error) {
            if (!(error instanceof ItemError)) throw error;
            return complain(`element ${i}: ${error.message}`);
          }
        }
        check(item, itemsOf(schema), at, errors);
      }
      return;
    }
    case "object":
      if (!isObject(value)) return complain(`expected map, got &{${goValue(value)}}`);
      if (schema.format === "raw" || schema.format === "fields") return;
      for (const [name, inner] of Object.entries(value)) {
        const field = memberSchema(schema, name);
        if (field === undefined) complain("field not declared in schema", `${path}.${name}`);
        else check(inner, field, `${path}.${name}`, errors);
      }
      return;
    case "any":
      return;
  }
}

function goType(value: unknown): string {
  if (typeof value === "boolean") return "bool";
  if (Array.isArray(value)) return "[]interface {}";
  return isObject(value) ? "map[string]interface {}" : typeof value;
}
function goValueSyntax(value: unknown): string {
  return `&value.valueUnstructured{Value:${goSyntax(value)}}`;
}
function goSyntax(value: unknown): string {
  if (value === null) return "interface {}(nil)";
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (!isObject(value)) return JSON.stringify(value);
  return `map[string]interface {}{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${goSyntax(value[key])}`)
    .join(", ")}}`;
}
function goValue(value: unknown): string {
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goValue).join(" ")}]`;
  if (!isObject(value)) return String(value);
  return `map[${Object.keys(value)
    .sort()
    .map((key) => `${key}:${goValue(value[key])}`)
    .join(" ")}]`;
}
