/**
 * Server-side apply: merges a configuration into the live object, removes fields that the manager no longer mentions and nobody else owns, and
 * reports a conflict where it would change what others own.
 * Upstream: sigs.k8s.io/structured-merge-diff/v6/merge/update.go, staging/src/k8s.io/apimachinery/pkg/util/managedfields
 */
import { markGiven } from "../../codec/empties.ts";
import type { KubeObject } from "../../meta/object.ts";
import type { Schema } from "../../schema/schema.ts";
import { StatusError, badRequest } from "../../status.ts";
import { isObject, jsonEqual, setMember, type JsonObject } from "../json-value.ts";
import {
  EMPTY,
  difference,
  equalSets,
  intersection,
  isEmptySet,
  isSubset,
  pathsOf,
  union,
  type FieldSet,
} from "./field-set.ts";
import {
  decodeManagedFields,
  encodeManagedFields,
  identityOf,
  withManagedFields,
  withoutMeta,
  withoutReset,
  type Managed,
  type ManagedTable,
} from "./managed-fields.ts";
import { checkTyped, compare, mentioned, mergeTyped, removeFields, typedErrorText, withNamedFields } from "./typed.ts";
import { Views, conflictsWith, reconcile, takeAway, zeroObject, type Endpoint, type VersionView } from "./update.ts";

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const ANNOTATIONS_BYTES_MAX = 256 * 1024;

export interface ApplyOptions extends Endpoint {
  readonly manager: string;
  readonly force: boolean;
  /** RFC 3339, whole seconds. */
  readonly time: string;
}

/**
 * The live object with the configuration applied and its managed fields; `live` itself where nothing changes. For an object that
 * doesn't exist yet, `live` is one with its apiVersion, kind and an empty metadata. Throws a Conflict, or what is wrong with the configuration.
 * Defaults are the caller's: a field that was taken out gets its default again.
 */
export function apply<T extends KubeObject>(live: T, applied: unknown, options: ApplyOptions): T {
  if (!isObject(applied)) throw badRequest("error decoding YAML: expected an object");
  const { apiVersion } = options;
  if (applied["apiVersion"] !== apiVersion || applied["kind"] !== live.kind) {
    throw badRequest(`invalid object type: ${gvk(applied["apiVersion"], applied["kind"])}`);
  }
  if (isObject(applied["metadata"]) && (applied["metadata"]["managedFields"] ?? null) !== null) {
    throw badRequest("metadata.managedFields must be nil");
  }
  markGiven(applied);
  const errors = checkTyped(applied, options.schema);
  if (errors.length > 0) {
    throw new StatusError(
      "Unknown",
      `failed to create typed patch object (${placeOf(applied["metadata"])}; ${gvk(apiVersion, live.kind)}): ${typedErrorText(errors)}`,
    );
  }
  const upgraded =
    options.manager === "kubectl" ? applyUpgrading(live, applied, options) : merge(live, applied, options);
  return options.manager === "kubectl" ? withFreshAnnotation(upgraded, applied) : upgraded;
}

/** As the configuration says it, which need not name its namespace. */
function placeOf(metadata: unknown): string {
  const { namespace = "", name = "" } = isObject(metadata) ? metadata : {};
  return `${String(namespace)}/${String(name)}`;
}

/** A first apply by kubectl over its own client-side apply doesn't conflict with what that one last wrote. */
function applyUpgrading<T extends KubeObject>(live: T, applied: JsonObject, options: ApplyOptions): T {
  try {
    return merge(live, applied, options);
  } catch (error) {
    if (options.force || !(error instanceof ConflictError)) throw error;
    const allowed = allowedByAnnotation(live, options);
    if (allowed === undefined) throw error;
    const rest = error.conflicts
      .map(({ managed, fields }) => ({ managed, fields: difference(fields, allowed) }))
      .filter(({ fields }) => !isEmptySet(fields));
    if (rest.length > 0) throw new ConflictError(rest);
    return merge(live, applied, { ...options, force: true });
  }
}

function allowedByAnnotation(live: KubeObject, options: ApplyOptions): FieldSet | undefined {
  const annotation = live.metadata.annotations?.[LAST_APPLIED];
  if (annotation === undefined || annotation === "") return undefined;
  let last: unknown;
  try {
    last = JSON.parse(annotation);
  } catch {
    return undefined;
  }
  if (!isObject(last) || last["apiVersion"] !== options.apiVersion) return undefined;
  const { changed, removed } = compare(last, live as unknown as JsonObject, options.schema);
  return difference(difference(mentioned(last, options.schema), changed), removed);
}

function withFreshAnnotation<T extends KubeObject>(object: T, applied: JsonObject): T {
  const annotations = object.metadata.annotations;
  if (annotations?.[LAST_APPLIED] === undefined || annotations[LAST_APPLIED] === "") return object;
  const { [LAST_APPLIED]: _, ...others } = annotations;
  const metadata = applied["metadata"];
  const own = isObject(metadata) ? metadata["annotations"] : undefined;
  const clean = isObject(own)
    ? { ...applied, metadata: { ...(metadata as JsonObject), annotations: without(own, LAST_APPLIED) } }
    : applied;
  const text = `${JSON.stringify(clean)}\n`;
  if (text === annotations[LAST_APPLIED]) return object;
  const all: Readonly<Record<string, string>> = { ...others, [LAST_APPLIED]: text };
  const size = Object.entries(all).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  return { ...object, metadata: { ...object.metadata, annotations: size > ANNOTATIONS_BYTES_MAX ? others : all } };
}

function without(object: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = object;
  return rest;
}

function merge<T extends KubeObject>(live: T, config: JsonObject, options: ApplyOptions): T {
  const { schema, apiVersion } = options;
  const stored = live.metadata.managedFields ?? [];
  const bare = withManagedFields(live, undefined) as unknown as JsonObject;
  const before = startingTable(live, bare, options);
  const identity = {
    manager: options.manager,
    operation: "Apply" as const,
    apiVersion,
    ...(options.subresource !== undefined && options.subresource !== "" && { subresource: options.subresource }),
  };
  const who = identityOf(identity);
  const table = reconcile(before, options);
  const last = table.get(who);
  const mine: Managed = {
    ...identity,
    ...(last?.time !== undefined && { time: last.time }),
    fields: withoutReset(mentioned(config, schema), options.resetFields),
  };
  const claimed = new Map(table).set(who, mine);

  const laid = mergeTyped(bare, config, schema);
  // What is compared is what the configuration says, down to a list that is empty.
  const pruned = prune(laid, last, claimed, options);
  const changes = compare(bare, pruned, schema);
  const views = new Views(bare, pruned, changes, options);
  if (!options.force) {
    const conflicts = [...claimed]
      .filter(([key]) => key !== who)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, managed]) => {
        const theirs = views.changesFor(managed.apiVersion);
        return { managed, fields: theirs === undefined ? EMPTY : conflictsWith(managed, theirs) };
      })
      .filter(({ fields }) => !isEmptySet(fields));
    if (conflicts.length > 0) throw new ConflictError(conflicts);
  }
  const after = takeAway(claimed, (managed) => views.changesFor(managed.apiVersion), who);
  const unchanged = isEmptySet(changes.changed) && isEmptySet(changes.removed) && jsonEqual(bare, pruned);
  const owned = withoutMeta(mine.fields);
  if (isEmptySet(owned)) after.delete(who);
  else {
    const fields = last !== undefined && equalSets(last.fields, owned) ? last.fields : owned;
    const time = unchanged ? last?.time : options.time;
    const { time: _, ...rest } = mine;
    after.set(who, { ...rest, fields, ...(time !== undefined && { time }) });
  }
  const result = (unchanged ? bare : settled(pruned, schema)) as unknown as T;
  const entries = encodeManagedFields(after, stored);
  if (unchanged && entries === live.metadata.managedFields) return live;
  return withManagedFields(result, entries);
}

/** The live entries; what nobody is known to own belongs to `before-first-apply`. */
function startingTable(live: KubeObject, bare: JsonObject, options: ApplyOptions): ManagedTable {
  let table: ManagedTable;
  try {
    table = decodeManagedFields(live.metadata.managedFields);
  } catch (error) {
    throw new StatusError("Unknown", `failed to decode managed fields: ${(error as Error).message}`);
  }
  if (table.size > 0 || live.metadata.uid === undefined || live.metadata.uid === "") return table;
  const zero = zeroObject(live, options.schema) as unknown as JsonObject;
  const everything = withoutMeta(withoutReset(compare(zero, bare, options.schema).changed, options.resetFields));
  if (isEmptySet(everything)) return table;
  const { apiVersion, subresource = "" } = options;
  const identity = {
    manager: "before-first-apply",
    operation: "Update",
    apiVersion,
    ...(subresource !== "" && { subresource }),
  } as const;
  return new Map([[identityOf(identity), { ...identity, fields: everything, time: options.time }]]);
}

/**
 * What Go's types make of an object: a null is nothing. An empty list or map stays for as long as the write takes, as in any object that a client
 * gives. Fields that are no Go fields (those of custom resources) stay as they are.
 */
function settled(object: JsonObject, schema: Schema): JsonObject {
  return settle(object, schema) as JsonObject;
}

function settle(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    const next = value.map((item) => settle(item, items));
    return next.some((item, i) => item !== value[i]) ? next : value;
  }
  if (!isObject(value)) return value;
  let draft: Record<string, unknown> | undefined;
  for (const name of Object.keys(value)) {
    const inner = value[name];
    const field = schema.properties?.get(name) ?? schema.values;
    if (field === undefined) continue;
    if (isNothing(inner, field)) delete (draft ??= { ...value })[name];
    else {
      const next = settle(inner, field);
      if (next !== inner) setMember((draft ??= { ...value }), name, next);
    }
  }
  return draft ?? value;
}

function isNothing(value: unknown, field: Schema): boolean {
  return value === null && field.proto !== undefined;
}

/** Takes out what the manager applied last, doesn't mention any more, and nobody else owns. Worked out in the version of that last apply. */
function prune(merged: JsonObject, last: Managed | undefined, table: ManagedTable, options: ApplyOptions): JsonObject {
  if (last === undefined || isEmptySet(last.fields)) return merged;
  const now = table.get(identityOf(last))!;
  if (last.apiVersion === options.apiVersion && isSubset(last.fields, now.fields)) return merged;
  const view = viewOf(last.apiVersion, options);
  if (view === undefined) return merged;
  const whole = view.convert(merged);
  const all = withNamedFields(mentioned(whole, view.schema), view.schema);
  let pruned = removeFields(whole, view.schema, withNamedFields(last.fields, view.schema));
  // What anybody owns comes back, the version at hand first: others may not know of all its fields.
  const claims = claimsByVersion(table, options);
  const versions = [...claims.keys()].sort((a, b) => Number(b === last.apiVersion) - Number(a === last.apiVersion));
  for (const version of versions) {
    const other = viewOf(version, options);
    if (other === undefined) continue;
    pruned = view.convert(
      other.revert(withClaimed(other, other.convert(merged), other.convert(view.revert(pruned)), claims.get(version)!)),
    );
  }
  const dangling = difference(all, withNamedFields(mentioned(pruned, view.schema), view.schema));
  const mine = withNamedFields(last.fields, view.schema);
  return view.revert(removeFields(whole, view.schema, intersection(dangling, mine)));
}

/** The merged object without what is neither left in the pruned one nor claimed. */
function withClaimed({ schema }: VersionView, merged: JsonObject, pruned: JsonObject, claimed: FieldSet): JsonObject {
  const named = (set: FieldSet) => withNamedFields(set, schema);
  const kept = union(named(mentioned(pruned, schema)), named(claimed));
  return removeFields(merged, schema, difference(named(mentioned(merged, schema)), kept));
}

/** All that is owned, by version; in one heap where all versions look alike. */
function claimsByVersion(table: ManagedTable, options: ApplyOptions): ReadonlyMap<string, FieldSet> {
  const claims = new Map<string, FieldSet>();
  for (const { apiVersion, fields } of table.values()) {
    const version = options.version === undefined ? options.apiVersion : apiVersion;
    claims.set(version, union(claims.get(version) ?? EMPTY, fields));
  }
  return claims;
}

function viewOf(apiVersion: string, options: ApplyOptions): VersionView | undefined {
  if (apiVersion !== options.apiVersion && options.version !== undefined) return options.version(apiVersion);
  return { schema: options.schema, convert: (object) => object, revert: (object) => object };
}

interface ConflictOf {
  readonly managed: Managed;
  readonly fields: FieldSet;
}

class ConflictError extends StatusError {
  readonly conflicts: readonly ConflictOf[];

  constructor(conflicts: readonly ConflictOf[]) {
    const causes = conflicts.flatMap(({ managed, fields }) =>
      pathsOf(fields).map((field) => ({
        reason: "FieldManagerConflict",
        message: `conflict with ${describe(managed)}`,
        field,
      })),
    );
    super("Conflict", conflictText(conflicts, causes.length), { causes });
    this.conflicts = conflicts;
  }
}

function conflictText(conflicts: readonly ConflictOf[], count: number): string {
  if (count === 1) {
    const { managed, fields } = conflicts[0]!;
    return `Apply failed with 1 conflict: conflict with ${describe(managed)}: ${pathsOf(fields)[0]}`;
  }
  const lines = conflicts.flatMap(({ managed, fields }) => [
    `conflicts with ${describe(managed)}:`,
    ...pathsOf(fields).map((path) => `- ${path}`),
  ]);
  return `Apply failed with ${count} conflicts: ${lines.join("\n")}`;
}

function describe({ manager, operation, apiVersion, subresource }: Managed): string {
  return [
    JSON.stringify(manager),
    ...(subresource === undefined ? [] : [`with subresource ${JSON.stringify(subresource)}`]),
    ...(operation === "Update" ? [`using ${apiVersion}`] : []),
  ].join(" ");
}

/** As Go prints it: the core group is the empty word before the slash. */
function gvk(apiVersion: unknown, kind: unknown): string {
  const text = String(apiVersion ?? "");
  return `${text.includes("/") ? text : `/${text}`}, Kind=${String(kind ?? "")}`;
}
