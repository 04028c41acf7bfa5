/**
 * Field ownership after a create, a PUT or a patch: whoever changed a field owns it, and nobody else does. This runs on every write.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/managedfields, sigs.k8s.io/structured-merge-diff/v6/merge/update.go
 */
import type { KubeObject } from "../../meta/object.ts";
import type { Schema } from "../../schema/schema.ts";
import { zeroOf } from "../../schema/zero.ts";
import { jsonEqual, type JsonObject } from "../json-value.ts";
import { difference, intersection, isEmptySet, union, type FieldSet } from "./field-set.ts";
import {
  capUpdateEntries,
  decodeManagedFields,
  encodeManagedFields,
  identityOf,
  isReset,
  withManagedFields,
  withoutMeta,
  withoutReset,
  type Managed,
  type ManagedTable,
} from "./managed-fields.ts";
import { compare, type Changes } from "./typed.ts";
import { shapeOf, memberSchema, itemsOf } from "./shape.ts";
import { Unfinished } from "./unfinished.ts";

/** An API version that an entry may be in, other than the endpoint's. */
export interface VersionView {
  readonly schema: Schema;
  /** From the endpoint's version to this one. */
  convert(object: JsonObject): JsonObject;
  /** From this version to the endpoint's. */
  revert(object: JsonObject): JsonObject;
  readonly resetFields?: FieldSet;
}

export interface Endpoint {
  /** `apps/v1`, as in the URL. */
  readonly apiVersion: string;
  readonly schema: Schema;
  /** Empty or absent for the main endpoint. */
  readonly subresource?: string;
  /** What this endpoint's strategy wipes: nobody gains it here. */
  readonly resetFields?: FieldSet;
  /** How to look at the objects in another version; undefined for a version that is gone. Left out: all versions look alike. */
  readonly version?: (apiVersion: string) => VersionView | undefined;
}

export interface UpdateOptions extends Endpoint {
  readonly manager: string;
  /** RFC 3339, whole seconds. */
  readonly time: string;
}

/**
 * `object` with its managed fields. `live` is what is stored, undefined for a create. Never fails: where the entries or the objects
 * can't be worked on, the object comes back without managed fields, as upstream has it.
 */
export function updateManagedFields<T extends KubeObject>(live: T | undefined, object: T, options: UpdateOptions): T {
  try {
    return update(live, object, options);
  } catch (error) {
    if (error instanceof Unfinished) throw error;
    return withManagedFields(object, undefined);
  }
}

function update<T extends KubeObject>(live: T | undefined, object: T, options: UpdateOptions): T {
  const stored = startingList(live, object, options);
  // Not tracked so far, or just reset: stays so until the next apply.
  if (live !== undefined && stored.length === 0) return withManagedFields(object, undefined);
  const before = decodeManagedFields(stored);
  const old = withManagedFields(live ?? zeroObject(object, options.schema), undefined);
  const fresh = withManagedFields(object, undefined);
  const work = reconcile(before, options);
  const changes = compare(old as unknown as JsonObject, fresh as unknown as JsonObject, options.schema);
  let table: ManagedTable = work;
  if (!isEmptySet(changes.changed) || !isEmptySet(changes.removed)) {
    const views = new Views(old as unknown as JsonObject, fresh as unknown as JsonObject, changes, options);
    table = takeAway(work, (managed) => views.changesFor(managed.apiVersion));
  }
  const gained = withoutMeta(withoutReset(changes.changed, options.resetFields));
  if (!isEmptySet(gained)) {
    const identity = {
      manager: options.manager === "" ? "unknown" : options.manager,
      operation: "Update" as const,
      apiVersion: options.apiVersion,
      ...(options.subresource !== undefined && options.subresource !== "" && { subresource: options.subresource }),
    };
    const key = identityOf(identity);
    const mine = table.get(key);
    table = new Map(table).set(key, {
      ...identity,
      time: options.time,
      fields: mine === undefined ? gained : union(mine.fields, gained),
    });
  }
  table = capUpdateEntries(table);
  return withManagedFields(object, encodeManagedFields(table, stored));
}

/** Which list the write starts from: the live one, unless the request brings a valid one of its own or asks for a reset. */
function startingList(live: KubeObject | undefined, object: KubeObject, options: Endpoint) {
  const ours = live?.metadata.managedFields ?? [];
  const theirs = object.metadata.managedFields;
  const readable = (list: typeof ours): boolean => {
    try {
      decodeManagedFields(list);
      return true;
    } catch {
      return false;
    }
  };
  const fallback = readable(ours) ? ours : [];
  if (options.subresource !== undefined && options.subresource !== "") return fallback;
  if (theirs !== undefined && jsonEqual(theirs, ours)) return fallback;
  if (isReset(theirs)) return [];
  if (Array.isArray(theirs) && theirs.length > 0 && readable(theirs)) return theirs;
  return fallback;
}

/** What is there before a create: of a built-in kind Go's zero value, in which much is set to nothing already. */
export function zeroObject<T extends KubeObject>({ apiVersion, kind }: T, schema: Schema): T {
  const zero = schema.name === undefined ? {} : zeroOf(schema);
  return { ...zero, apiVersion, kind, metadata: {} } as unknown as T;
}

/** The change as each version sees it, worked out once a version. */
export class Views {
  readonly #byVersion = new Map<string, Changes | undefined>();
  readonly #old: JsonObject;
  readonly #object: JsonObject;
  readonly #endpoint: Endpoint;

  constructor(old: JsonObject, object: JsonObject, changes: Changes, endpoint: Endpoint) {
    this.#old = old;
    this.#object = object;
    this.#endpoint = endpoint;
    this.#byVersion.set(endpoint.apiVersion, filtered(changes, endpoint.resetFields));
  }

  /** Undefined for a version that is gone. */
  changesFor(apiVersion: string): Changes | undefined {
    if (this.#byVersion.has(apiVersion)) return this.#byVersion.get(apiVersion);
    let changes: Changes | undefined;
    if (this.#endpoint.version === undefined) changes = this.#byVersion.get(this.#endpoint.apiVersion);
    else {
      const view = this.#endpoint.version(apiVersion);
      changes =
        view && filtered(compare(view.convert(this.#old), view.convert(this.#object), view.schema), view.resetFields);
    }
    this.#byVersion.set(apiVersion, changes);
    return changes;
  }
}

function filtered(changes: Changes, resetFields: FieldSet | undefined): Changes {
  if (resetFields === undefined) return changes;
  return { changed: withoutReset(changes.changed, resetFields), removed: withoutReset(changes.removed, resetFields) };
}

/** Every entry without what was changed or removed under it; empty entries, and those of versions that are gone, go. */
export function takeAway(
  table: ManagedTable,
  changesFor: (managed: Managed) => Changes | undefined,
  except?: string,
): Map<string, Managed> {
  const left = new Map<string, Managed>();
  for (const [identity, managed] of table) {
    if (identity === except) {
      left.set(identity, managed);
      continue;
    }
    const changes = changesFor(managed);
    if (changes === undefined) continue;
    const lost = difference(difference(managed.fields, changes.changed), changes.removed);
    if (isEmptySet(lost)) continue;
    left.set(identity, lost === managed.fields ? managed : { ...managed, fields: lost });
  }
  return left;
}

export function conflictsWith(managed: Managed, changes: Changes): FieldSet {
  return isEmptySet(changes.changed) ? changes.changed : intersection(managed.fields, changes.changed);
}

/** Entries after a change of the schema: who owned something below what is atomic now owns the whole. */
export function reconcile(table: ManagedTable, endpoint: Endpoint): ManagedTable {
  let out: Map<string, Managed> | undefined;
  for (const [identity, managed] of table) {
    let schema: Schema | undefined = endpoint.schema;
    if (managed.apiVersion !== endpoint.apiVersion && endpoint.version !== undefined) {
      schema = endpoint.version(managed.apiVersion)?.schema;
    }
    if (schema === undefined) {
      (out ??= new Map(table)).delete(identity);
      continue;
    }
    const fields = atomicWhole(managed.fields, schema);
    if (fields !== managed.fields) (out ??= new Map(table)).set(identity, { ...managed, fields });
  }
  return out ?? table;
}

function atomicWhole(set: FieldSet, schema: Schema): FieldSet {
  let out: Record<string, FieldSet> | undefined;
  for (const element in set) {
    if (element === ".") continue;
    const node = set[element]!;
    if (isEmptySet(node)) continue;
    const isField = element[0] === "f";
    const declared = isField ? schema.properties?.get(element.slice(2)) : undefined;
    if (isField && declared === undefined && schema.values === undefined) continue;
    const inner = declared ?? (isField ? memberSchema(schema, element.slice(2)) : itemsOf(schema));
    if (inner === undefined || inner.type === "any") continue;
    const atomic = inner.type !== "object" && inner.type !== "array" ? false : shapeOf(inner, undefined) === "leaf";
    const next = atomic ? ATOMIC : atomicWhole(node, inner);
    if (next !== node) (out ??= { ...set })[element] = next;
  }
  return out ?? set;
}
const ATOMIC: FieldSet = Object.freeze({});
