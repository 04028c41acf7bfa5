/** Detects updates that change nothing. They are not written, so no watcher is notified and the resourceVersion stays. */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Entry } from "../storage/entry.ts";

export function isUnchanged(current: Entry, stored: KubeObject): boolean {
  if (current.stored === stored) return true;
  const { metadata: was, ...old } = current.stored;
  const { metadata: is, ...now } = stored;
  // The rest first: it is what differs, nearly always.
  return (
    sameStored(old, now) && sameStored({ ...was, resourceVersion: undefined }, { ...is, resourceVersion: undefined })
  );
}

/** Whether two objects are stored alike: a member that is undefined isn't stored. */
export function sameStored(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!sameStored(a[i], b[i])) return false;
    return true;
  }
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  let members = 0;
  for (const key of Object.keys(left)) {
    if (left[key] === undefined) continue;
    if (!Object.hasOwn(right, key) || !sameStored(left[key], right[key])) return false;
    members++;
  }
  for (const key of Object.keys(right)) if (right[key] !== undefined) members--;
  return members === 0;
}
