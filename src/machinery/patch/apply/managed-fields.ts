/**
 * `metadata.managedFields`: which manager owns which fields, as a table by manager during a write, and as the list that is stored.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/managedfields.go
 */
import type { KubeObject } from "../../meta/object.ts";
import type { ManagedFieldsEntry } from "../../meta/types.ts";
import { isEmpty, isObject } from "../json-value.ts";
import {
  EMPTY,
  decodeFieldSet,
  inWireOrder,
  isEmptySet,
  recursiveDifference,
  union,
  type FieldSet,
} from "./field-set.ts";

/** Who writes. One manager may hold several: one for what it applies, one an API version and subresource for what it updates. */
export interface Identity {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource?: string;
}

export interface Managed extends Identity {
  readonly time?: string;
  readonly fields: FieldSet;
}

/** By `identityOf`. */
export type ManagedTable = ReadonlyMap<string, Managed>;

/** Upstream's identity string; messages sort by it. What a manager applies is one entry whatever the version was. */
export function identityOf({ manager, operation, apiVersion, subresource }: Identity): string {
  return JSON.stringify({
    ...(manager !== "" && { manager }),
    operation,
    ...(operation !== "Apply" && { apiVersion }),
    ...(subresource !== undefined && subresource !== "" && { subresource }),
  });
}

/** Throws with upstream's words where any entry can't be read. */
export function decodeManagedFields(entries: readonly ManagedFieldsEntry[] | undefined): ManagedTable {
  const table = new Map<string, Managed>();
  for (const [i, entry] of (entries ?? []).entries()) {
    const { manager = "", operation, apiVersion, subresource, time } = entry;
    if (operation !== "Apply" && operation !== "Update") throw new Error("operation must be `Apply` or `Update`");
    if (apiVersion === undefined || apiVersion === "") throw new Error("apiVersion must not be empty");
    if (entry.fieldsType === undefined || entry.fieldsType === "") {
      throw new Error(`missing fieldsType in managed fields entry ${i}`);
    }
    if (entry.fieldsType !== "FieldsV1") {
      throw new Error(`invalid fieldsType ${JSON.stringify(entry.fieldsType)} in managed fields entry ${i}`);
    }
    const identity = {
      manager,
      operation,
      apiVersion,
      ...(subresource !== undefined && subresource !== "" && { subresource }),
    } as const;
    table.set(identityOf(identity), {
      ...identity,
      ...(time !== undefined && { time }),
      fields: decodeFieldSet(entry.fieldsV1 ?? {}),
    });
  }
  return table;
}

/** The list as it is stored, in upstream's order. An entry that didn't change is the stored one itself. */
export function encodeManagedFields(
  table: ManagedTable,
  stored: readonly ManagedFieldsEntry[] = [],
): readonly ManagedFieldsEntry[] | undefined {
  const entries = [...table.values()].sort(inListOrder).map((managed) => encodeEntry(managed, stored));
  if (entries.length === 0) return undefined;
  return entries.length === stored.length && entries.every((entry, i) => entry === stored[i]) ? stored : entries;
}

function encodeEntry(managed: Managed, stored: readonly ManagedFieldsEntry[]): ManagedFieldsEntry {
  const { manager, operation, apiVersion, subresource, time, fields } = managed;
  const same = stored.find(
    (entry) =>
      entry.fieldsV1 === fields &&
      entry.manager === manager &&
      entry.operation === operation &&
      entry.apiVersion === apiVersion &&
      entry.time === time &&
      (entry.subresource ?? "") === (subresource ?? ""),
  );
  return (
    same ?? {
      ...(manager !== "" && { manager }),
      operation,
      apiVersion,
      ...(time !== undefined && { time }),
      fieldsType: "FieldsV1",
      fieldsV1: inWireOrder(fields),
      ...(subresource !== undefined && { subresource }),
    }
  );
}

function inListOrder(a: Managed, b: Managed): number {
  return (
    text(a.operation, b.operation) ||
    seconds(a) - seconds(b) ||
    text(a.manager, b.manager) ||
    text(a.apiVersion, b.apiVersion) ||
    text(a.subresource ?? "", b.subresource ?? "")
  );
}
const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const seconds = ({ time }: Managed): number => (time === undefined ? 0 : Math.floor(Date.parse(time) / 1000));

/** What upstream never lets anyone own. */
const NEVER_OWNED: FieldSet = Object.freeze({
  "f:apiVersion": EMPTY,
  "f:kind": EMPTY,
  "f:metadata": Object.freeze({
    ".": EMPTY,
    ...Object.fromEntries(
      [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
      ].map((name) => [`f:${name}`, EMPTY]),
    ),
  }),
}) as FieldSet;

/** The set without the fields that identify the object or that the server sets. */
export function withoutMeta(set: FieldSet): FieldSet {
  const { "f:apiVersion": _apiVersion, "f:kind": _kind, "f:metadata": metadata, ...rest } = set;
  if (metadata === undefined) return set["f:apiVersion"] || set["f:kind"] ? rest : set;
  const never = NEVER_OWNED["f:metadata"]!;
  const kept = Object.entries(metadata).filter(([element]) => never[element] === undefined);
  return kept.length === 0 ? rest : { ...rest, "f:metadata": Object.fromEntries(kept) };
}

const UPDATE_ENTRIES_MAX = 10;

/** Merges the oldest Update entries of each version into one bucket, `ancient-changes`, until ten remain. */
export function capUpdateEntries(table: ManagedTable): ManagedTable {
  const updates = [...table].filter(([, managed]) => managed.operation === "Update");
  let surplus = updates.length - UPDATE_ENTRIES_MAX;
  if (surplus <= 0) return table;
  updates.sort(([a, left], [b, right]) => seconds(left) - seconds(right) || text(a, b));
  const capped = new Map(table);
  const first = new Map<string, string>();
  for (const [identity, managed] of updates) {
    if (surplus <= 0) break;
    const { apiVersion } = managed;
    const bucket: Identity = { manager: "ancient-changes", operation: "Update", apiVersion };
    const key = identityOf(bucket);
    const noted = first.get(apiVersion);
    if (noted === undefined) {
      first.set(apiVersion, identity);
      continue;
    }
    const before = capped.get(noted)!;
    capped.delete(noted);
    capped.delete(identity);
    capped.set(key, {
      ...bucket,
      ...(managed.time !== undefined && { time: managed.time }),
      fields: union(before.fields, managed.fields),
    });
    first.set(apiVersion, key);
    surplus--;
  }
  return capped;
}

/** Whether a client asks to forget all ownership: an empty list, or one entry with nothing in it. */
export function isReset(entries: unknown): boolean {
  if (!Array.isArray(entries)) return false;
  return entries.length === 0 || (entries.length === 1 && isObject(entries[0]) && isEmpty(entries[0]));
}

export function withManagedFields<T extends Partial<KubeObject>>(
  object: T,
  entries: readonly ManagedFieldsEntry[] | undefined,
): T {
  const metadata = object.metadata;
  if (metadata?.managedFields === entries && (entries !== undefined || !hasMember(metadata))) return object;
  const { managedFields: _, ...rest } = metadata ?? ({} as KubeObject["metadata"]);
  return { ...object, metadata: entries === undefined ? rest : { ...rest, managedFields: entries } };
}
const hasMember = (metadata: object | undefined): boolean =>
  metadata !== undefined && Object.hasOwn(metadata, "managedFields");

/** What a writer can't gain at this endpoint goes, with everything below. */
export function withoutReset(set: FieldSet, resetFields: FieldSet | undefined): FieldSet {
  return resetFields === undefined || isEmptySet(resetFields) ? set : recursiveDifference(set, resetFields);
}
