/** Names and hashes of what controllers make. Upstream: pkg/controller/controller_utils.go (ComputeHash), staging/src/k8s.io/apimachinery/pkg/util/rand */

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** Letters and digits that spell no words. */
export function safeEncode(text: string): string {
  let result = "";
  for (const char of text) result += ALPHABET[char.codePointAt(0)! % ALPHABET.length];
  return result;
}

export function fnv1(bytes: Uint8Array, from = 0x811c9dc5): number {
  let hash = from;
  for (const byte of bytes) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
  return hash >>> 0;
}

export function fnv1a(bytes: Uint8Array, from = 0x811c9dc5): number {
  let hash = from;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash >>> 0;
}

/**
 * The label that tells pods of one template from those of the next. Upstream hashes a dump of its Go structs, which nobody else can make;
 * all that counts is that the value stays the same as long as the template does.
 */
export function templateHash(template: unknown, collisionCount: number | undefined): string {
  let hash = fnv1a(Buffer.from(canonicalJson(template)));
  if (collisionCount !== undefined) {
    const count = Buffer.alloc(8);
    count.writeUInt32LE(collisionCount);
    hash = fnv1a(count, hash);
  }
  return safeEncode(String(hash));
}

/** The hash in the name of a StatefulSet's revision. */
export function revisionHash(data: string, collisionCount: number): string {
  return safeEncode(String(fnv1(Buffer.from(`${data}${collisionCount}`))));
}

/** JSON as Go writes it: sorted keys, no spaces, `<`, `>`, `&` and two separators escaped. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, child: unknown) =>
    typeof child === "object" && child !== null && !Array.isArray(child)
      ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : child,
  ).replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
