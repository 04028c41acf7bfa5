/**
 * Strategic merge patch: as a merge patch, but lists with a merge key merge item by item, and directives in the patch
 * delete, replace, retain or reorder. The schema says which list merges how.
 *
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go
 */
import type { Schema } from "../schema/schema.ts";
import { StatusError, badRequest } from "../status.ts";
import { isObject, jsonEqual, member, setMember, type JsonObject } from "./json-value.ts";
import { withoutNulls } from "./merge-patch.ts";

const DIRECTIVE = "$patch";
const RETAIN_KEYS = "$retainKeys";
const DELETE_FROM_LIST = "$deleteFromPrimitiveList";
const ELEMENT_ORDER = "$setElementOrder";

/** The merged document. What the patch leaves as it is keeps its identity. */
export function applyStrategicMergePatch(document: JsonObject, patch: unknown, schema: Schema): JsonObject {
  if (!isObject(patch)) throw badRequest("invalid JSON document");
  return mergeMap(document, patch, schema);
}

/** Errors of the patch's content that upstream returns as plain errors: 500 without a reason. */
function plain(words: string): StatusError {
  return new StatusError("Unknown", words);
}

function mergeMap(live: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  const directive = member(patch, DIRECTIVE);
  if (directive !== undefined) {
    if (directive === "delete") return {};
    if (directive !== "replace") throw plain(`unknown patch type: ${showText(directive)} in map: ${show(patch)}`);
    const { [DIRECTIVE]: _, ...replacement } = patch;
    return replacement;
  }

  const merged: Record<string, unknown> = retainKeys(live, patch);
  const done = new Set<string>([RETAIN_KEYS]);
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(ELEMENT_ORDER)) continue;
    done.add(key);
    const field = fieldOf(key, ELEMENT_ORDER, "setElementOrder list");
    const list = mergeInOrder(member(merged, field), member(patch, field), patch[key], field, schema);
    if (list === undefined) continue;
    done.add(field);
    setMember(merged, field, list);
  }

  for (const [key, value] of Object.entries(patch)) {
    if (done.has(key)) continue;
    if (key.startsWith(DELETE_FROM_LIST)) {
      const field = fieldOf(key, DELETE_FROM_LIST, "primitive list");
      const list = member(merged, field);
      if (!Array.isArray(list)) continue;
      if (!Array.isArray(value)) throw badRequest("invalid patch format of primitive list");
      setMember(merged, field, deleteScalars(list, value));
      continue;
    }
    const old = member(merged, key);
    if (value === null) delete merged[key];
    else if (old === undefined || kindOf(old) !== kindOf(value)) {
      const added = withoutDirectives(withoutNulls(value));
      if (added !== undefined) setMember(merged, key, added);
      else if (old !== undefined) delete merged[key];
    } else if (isObject(value)) {
      const field = lookup(schema, key);
      setMember(merged, key, strategyOf(field) === "replace" ? value : mergeMap(old as JsonObject, value, field));
    } else if (Array.isArray(value)) {
      const field = lookup(schema, key);
      setMember(merged, key, strategyOf(field) === "merge" ? mergeList(old as unknown[], value, field) : value);
    } else setMember(merged, key, value);
  }
  return same(merged, live) ? live : merged;
}

/** A copy of `live` without what `$retainKeys` doesn't list. */
function retainKeys(live: JsonObject, patch: JsonObject): Record<string, unknown> {
  const keep = member(patch, RETAIN_KEYS);
  if (keep === undefined) return { ...live };
  if (!Array.isArray(keep)) throw badRequest("invalid patch format of retainKeys");
  for (const [key, value] of Object.entries(patch)) {
    if (key === RETAIN_KEYS || value === null) continue;
    if (key.startsWith(DELETE_FROM_LIST) || key.startsWith(ELEMENT_ORDER)) continue;
    if (!keep.includes(key)) throw badRequest("invalid patch format of retainKeys");
  }
  return Object.fromEntries(Object.entries(live).filter(([key]) => keep.includes(key)));
}

function mergeList(live: readonly unknown[], patch: readonly unknown[], field: Schema): readonly unknown[] {
  const kind = elementKind(live, patch);
  if (kind === undefined) return live;
  if (kind === "list") throw rejected("lists of lists are not supported");
  const key = field.patchMergeKey;
  if (kind !== "map") {
    const all = [...live, ...patch];
    return inOrder(
      all.filter((item, i) => all.indexOf(item) === i),
      patch,
      live,
      undefined,
    );
  }
  if (key === undefined) throw plain(`cannot merge lists without merge key for ${field.items?.name ?? ""}`);

  let items = [...live];
  const wanted: JsonObject[] = [];
  let replace = false;
  for (const item of patch as readonly JsonObject[]) {
    const directive = member(item, DIRECTIVE);
    if (directive === undefined) wanted.push(item);
    else if (directive === "replace") replace = true;
    else if (directive === "delete") {
      const value = mergeValue(item, key);
      items = items.filter((old) => !jsonEqual(member(old as JsonObject, key), value));
    } else if (directive === "merge") throw plain("merging lists cannot yet be specified in the patch");
    else throw plain(`unknown patch type: ${showText(directive)} in map: ${show(item)}`);
  }
  if (replace) return wanted;
  for (const item of wanted) {
    const value = mergeValue(item, key);
    const at = items.findIndex((old) => jsonEqual(member(old as JsonObject, key), value));
    if (at >= 0) items[at] = mergeMap(items[at] as JsonObject, item, field.items);
    else items.push(withoutDirectives(withoutNulls(item)));
  }
  const merged = inOrder(items, wanted, live, key);
  return merged.length === live.length && merged.every((item, i) => item === live[i]) ? live : merged;
}

/** The list of `field` in the order that `$setElementOrder` wants; undefined where neither side has the list. */
function mergeInOrder(
  live: unknown,
  patch: unknown,
  order: unknown,
  name: string,
  schema: Schema | undefined,
): readonly unknown[] | undefined {
  for (const list of [order, live ?? [], patch ?? []]) {
    if (!Array.isArray(list)) throw plain(`expected a []interface {}, but received a ${goType(list)}`);
  }
  const wanted = order as readonly unknown[];
  const field = lookup(schema, name);
  const key = field.patchMergeKey;
  checkOrder((patch ?? []) as readonly unknown[], wanted, key);
  let merged: readonly unknown[];
  if (live === undefined && patch === undefined) return undefined;
  if (patch === undefined || patch === null) merged = (live ?? []) as readonly unknown[];
  else if (live === undefined) merged = withoutDirectives(patch) as readonly unknown[];
  else if (strategyOf(field) === "merge") merged = mergeList(live as unknown[], patch as unknown[], field);
  else merged = patch as readonly unknown[];
  if (elementKind((live ?? []) as unknown[], (patch ?? []) as unknown[]) === undefined) {
    throw plain("no elements in any of the given slices");
  }
  return inOrder(merged, wanted, (live ?? []) as readonly unknown[], key);
}

/** What the patch brings must come in the order that the order list gives. */
function checkOrder(patch: readonly unknown[], order: readonly unknown[], key: string | undefined): void {
  const items =
    key === undefined ? patch : patch.filter((item) => !isObject(item) || member(item, DIRECTIVE) === undefined);
  let next = 0;
  for (const wanted of order) {
    if (next < items.length && sameItem(items[next], wanted, key)) next++;
  }
  if (next < items.length) {
    throw plain(`The order in patch list:\n${show(patch)}\n doesn't match ${ELEMENT_ORDER} list:\n${show(order)}\n`);
  }
}

/**
 * Orders a merged list: items that `first` names in its order, all others in the order of `live`, and the two interleaved.
 * Precedence: the order list, then the patch, then the live list.
 */
function inOrder(
  merged: readonly unknown[],
  first: readonly unknown[],
  live: readonly unknown[],
  key: string | undefined,
): readonly unknown[] {
  const firstAt = positions(first, key);
  const liveAt = positions(live, key);
  const at = (index: ReadonlyMap<unknown, number>, item: unknown) => index.get(identity(item, key)) ?? -1;
  const by = (index: ReadonlyMap<unknown, number>) => (a: unknown, b: unknown) => at(index, a) - at(index, b);
  const left = merged.filter((item) => at(firstAt, item) < 0).sort(by(liveAt));
  const right = merged.filter((item) => at(firstAt, item) >= 0).sort(by(firstAt));
  const result: unknown[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const onLeft = at(liveAt, left[l]);
    const onRight = at(liveAt, right[r]);
    result.push(onLeft >= 0 && onRight >= 0 && onLeft < onRight ? left[l++] : right[r++]);
  }
  return [...result, ...left.slice(l), ...right.slice(r)];
}

function positions(list: readonly unknown[], key: string | undefined): Map<unknown, number> {
  const index = new Map<unknown, number>();
  list.forEach((item, i) => {
    const id = identity(item, key);
    if (!index.has(id)) index.set(id, i);
  });
  return index;
}

/** What tells an item from its siblings: the value of its merge key, or the scalar itself. */
function identity(item: unknown, key: string | undefined): unknown {
  const value = key !== undefined && isObject(item) ? member(item, key) : item;
  return typeof value === "object" ? JSON.stringify(value) : value;
}

function sameItem(a: unknown, b: unknown, key: string | undefined): boolean {
  return key !== undefined && isObject(a) && isObject(b) ? jsonEqual(member(a, key), member(b, key)) : jsonEqual(a, b);
}

const deleteScalars = (list: readonly unknown[], values: readonly unknown[]): readonly unknown[] =>
  list.filter((item) => !values.includes(item));

function mergeValue(item: JsonObject, key: string): unknown {
  const value = member(item, key);
  if (value === undefined) throw plain(`map: ${show(item)} does not contain declared merge key: ${key}`);
  return value;
}

/** A value that has no counterpart in the live object: its directives have nothing to direct. Undefined where nothing is left. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined);
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, DIRECTIVE)) return undefined;
  const kept: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    if (key === RETAIN_KEYS || key.startsWith(DELETE_FROM_LIST) || key.startsWith(ELEMENT_ORDER)) continue;
    const next = withoutDirectives(inner);
    if (next !== undefined) setMember(kept, key, next);
  }
  return kept;
}

function fieldOf(key: string, prefix: string, what: string): string {
  if (key[prefix.length] !== "/" || key.length < prefix.length + 2) throw badRequest(`invalid patch format of ${what}`);
  return key.slice(prefix.length + 1);
}

/** The schema of a field, by its name or, as Go's decoder, by its name in another case. */
function lookup(schema: Schema | undefined, key: string): Schema {
  if (schema?.properties === undefined && schema?.values !== undefined) {
    throw plain("merging an object in json but data type is not struct, instead is: map");
  }
  const exact = schema?.properties?.get(key);
  if (exact !== undefined) return exact;
  const lower = key.toLowerCase();
  for (const [name, field] of schema?.properties ?? []) if (name.toLowerCase() === lower) return field;
  throw plain(
    `unable to find api field in struct ${schema?.name?.split(".").at(-1) ?? "Unknown"} for the json field "${key}"`,
  );
}

function strategyOf(field: Schema): "merge" | "replace" | "" {
  const rest = (field.patchStrategy ?? []).filter((strategy) => strategy !== "retainKeys");
  if (rest.length > 1) throw plain(`unexpected patch strategy: [${(field.patchStrategy ?? []).join(" ")}]`);
  return (rest[0] ?? "") as "merge" | "replace" | "";
}

function elementKind(...lists: readonly (readonly unknown[])[]): string | undefined {
  let kind: string | undefined;
  for (const list of lists) {
    for (const item of list) {
      const next = kindOf(item);
      if (kind !== undefined && kind !== next) throw plain(`list element types are not identical: ${show(lists)}`);
      kind = next;
    }
  }
  return kind;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "list";
  if (value === null) return "null";
  return typeof value === "object" ? "map" : typeof value;
}

const GO_TYPES: Readonly<Record<string, string>> = {
  map: "map[string]interface {}",
  number: "int64",
  boolean: "bool",
  null: "nil",
  list: "[]interface {}",
};
const goType = (value: unknown): string => GO_TYPES[kindOf(value)] ?? kindOf(value);

/** As Go's %v prints a map or a list. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (value === null) return "<nil>";
  if (!isObject(value)) return String(value);
  return `map[${Object.keys(value)
    .sort()
    .map((key) => `${key}:${show(value[key])}`)
    .join(" ")}]`;
}

/** Where upstream prints what it took for text. */
function showText(value: unknown): string {
  if (typeof value === "string" || typeof value === "object") return show(value);
  const kind = typeof value === "boolean" ? "bool" : Number.isInteger(value) ? "int64" : "float64";
  return `%!s(${kind}=${String(value)})`;
}

const rejected = (words: string): StatusError =>
  new StatusError(
    "Invalid",
    "the server rejected our request due to an error in our request",
    {},
    { cause: new Error(words) },
  );

/** Whether two objects have the same members with the same identities. */
function same(a: JsonObject, b: JsonObject): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
