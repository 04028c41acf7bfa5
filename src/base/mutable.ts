/**
 * API objects are readonly everywhere. Code that builds or changes one works on a draft of its own and says so with this type: `const draft =
 * structuredClone(pod) as Mutable<Pod>`.
 */
export type Mutable<T> = T extends (infer E)[] | readonly (infer E)[]
  ? Mutable<E>[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;

/** Freezes a plain tree in place and returns it. Objects that are frozen already are taken to be frozen all through. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    for (const key in value) deepFreeze(value[key]);
  }
  return value;
}
