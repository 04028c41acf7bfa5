/**
 * Who owns the replicas of an object, as a Scale says it: what the object's managed fields look like in its Scale, and what a write to the Scale
 * makes of them.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/managedfields/scalehandler.go
 */
import type { ManagedFieldsEntry } from "../../../machinery/meta/types.ts";
import { difference, fieldSet, isEmptySet, isOwned, type FieldSet } from "../../../machinery/patch/apply/field-set.ts";
import {
  decodeManagedFields,
  encodeManagedFields,
  identityOf,
  type Managed,
} from "../../../machinery/patch/apply/managed-fields.ts";

type Entries = readonly ManagedFieldsEntry[] | undefined;

const SCALE_VERSION = "autoscaling/v1";
const SCALE_PATH = "spec.replicas";

/** What a Scale of an object with these entries has. Its path to the replicas is `spec.replicas`. */
export function toScaleFields(entries: Entries, path: string): Entries {
  const table = new Map<string, Managed>();
  for (const managed of decodeManagedFields(entries).values()) {
    if (!owns(managed.fields, path)) continue;
    const seen = { ...managed, apiVersion: SCALE_VERSION, fields: fieldSet(SCALE_PATH) };
    table.set(identityOf(seen), seen);
  }
  return encodeManagedFields(table);
}

/** The object's entries after its Scale came to have these. Nobody is told when: what is new has no time. */
export function fromScaleFields(entries: Entries, scaleEntries: Entries, path: string, apiVersion: string): Entries {
  const before = decodeManagedFields(entries);
  const left = new Map(decodeManagedFields(scaleEntries));
  const table = new Map<string, Managed>();
  for (const [identity, managed] of before) {
    if (!owns(managed.fields, path) || left.delete(identity)) {
      table.set(identity, managed);
      continue;
    }
    const fields = difference(managed.fields, fieldSet(path));
    if (!isEmptySet(fields)) table.set(identity, { ...managed, fields });
  }
  for (const [identity, { time: _, ...managed }] of left)
    if (owns(managed.fields, SCALE_PATH)) table.set(identity, { ...managed, apiVersion, fields: fieldSet(path) });
  return encodeManagedFields(table, entries);
}

function owns(fields: FieldSet, path: string): boolean {
  let at: FieldSet | undefined = fields;
  for (const name of path.split(".")) at = at?.[`f:${name}`];
  return at !== undefined && isOwned(at);
}
