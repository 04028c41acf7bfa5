/**
 * JSON merge patch (RFC 7386): members merge, null deletes, everything else replaces.
 *
 * Upstream: github.com/evanphx/json-patch (v4) merge.go
 */
import { badRequest } from "../status.ts";
import { isObject, member, setMember, type JsonObject } from "./json-value.ts";

/** The merged document. What the patch leaves as it is keeps its identity, up to the whole document. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  // A list replaces the document, and fails where the result is decoded; a scalar isn't taken for a patch at all.
  if (Array.isArray(patch)) return patch;
  if (!isObject(patch)) throw badRequest("Invalid JSON Patch");
  return merge(isObject(document) ? document : {}, patch);
}

function merge(live: JsonObject, patch: JsonObject): JsonObject {
  let merged: Record<string, unknown> | undefined;
  const draft = () => (merged ??= { ...live });
  for (const [key, value] of Object.entries(patch)) {
    const old = member(live, key);
    if (value === null) {
      if (Object.hasOwn(live, key)) delete draft()[key];
      continue;
    }
    const next = isObject(value) && isObject(old) ? merge(old, value) : withoutNulls(value);
    if (next !== old) setMember(draft(), key, next);
  }
  return merged ?? live;
}

/** A value that is new to the document: the nulls in its objects have nothing to delete. Nulls in lists are values. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(withoutNulls);
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  if (!isObject(value)) return value;
  let changed = false;
  const kept: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const next = inner === null ? undefined : withoutNulls(inner);
    if (next !== inner) changed = true;
    if (next !== undefined) setMember(kept, key, next);
  }
  return changed ? kept : value;
}
