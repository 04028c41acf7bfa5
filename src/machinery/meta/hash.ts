/** The hashes in generated names. Both are 32-bit FNV; they differ in the order of multiplying and mixing. */
import { safeEncode } from "./names.ts";

const OFFSET = 2166136261;
const PRIME = 16777619;

type Bytes = string | Uint8Array;

export function fnv1(data: Bytes, hash: number = OFFSET): number {
  let h = hash;
  for (const byte of bytesOf(data)) h = Math.imul(h, PRIME) ^ byte;
  return h >>> 0;
}

export function fnv1a(data: Bytes, hash: number = OFFSET): number {
  let h = hash;
  for (const byte of bytesOf(data)) h = Math.imul(h ^ byte, PRIME);
  return h >>> 0;
}

/**
 * The value of `pod-template-hash` and of a DaemonSet's revision. Upstream hashes a dump of Go's struct, which changes from version to version;
 * only that it is stable and looks like this matters. `template` is the template without the hash label, `collisions` the status's collisionCount.
 */
export function podTemplateHash(template: unknown, collisions?: number): string {
  let hash = fnv1a(canonicalJson(template));
  if (collisions !== undefined) {
    const count = Buffer.alloc(8);
    count.writeUInt32LE(collisions >>> 0);
    hash = fnv1a(count, hash);
  }
  return safeEncode(String(hash));
}

/** The hash of a ControllerRevision's data, as StatefulSets name their revisions: reproducible byte for byte. */
export function revisionHash(data: Bytes, collisions = 0): string {
  return safeEncode(String(fnv1(String(collisions), fnv1(data))));
}

/** JSON as Go writes a map: keys sorted bytewise, nothing between, `<`, `>`, `&` and the line separators escaped. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner as object).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  ).replaceAll(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function bytesOf(data: Bytes): Uint8Array {
  return typeof data === "string" ? Buffer.from(data) : data;
}
