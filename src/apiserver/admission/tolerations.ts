/** Merges a pod's tolerations with those that a namespace or a runtime class adds. Upstream: pkg/util/tolerations */
import { isDeepStrictEqual } from "node:util";
import type { AnyObject } from "./framework.ts";

/** Both lists in order, less what another of them tolerates already. */
export function mergeTolerations(first: readonly AnyObject[], second: readonly AnyObject[]): readonly AnyObject[] {
  const all = [...first, ...second];
  const merged: AnyObject[] = [];
  for (const [i, one] of all.entries()) {
    if (merged.some((other) => covers(other, one))) continue;
    // Of equal ones the first stays.
    if (all.slice(i + 1).some((other) => !same(other, one) && covers(other, one))) continue;
    merged.push(one);
  }
  return merged;
}

export function allCovered(tolerations: readonly AnyObject[], allowed: readonly AnyObject[]): boolean {
  return allowed.length === 0 || tolerations.every((one) => allowed.some((other) => covers(other, one)));
}

const same = (a: AnyObject, b: AnyObject): boolean => isDeepStrictEqual({ ...a }, { ...b });

/** Whether whoever tolerates `wide` tolerates all that `one` does. */
function covers(wide: AnyObject, one: AnyObject): boolean {
  if (same(wide, one)) return true;
  const { key = "", effect = "", operator = "", value = "" } = wide;
  if ((one.key ?? "") !== key && (key !== "" || operator !== "Exists")) return false;
  if ((one.effect ?? "") !== effect && effect !== "") return false;
  if (effect === "NoExecute" && wide.tolerationSeconds !== undefined)
    if (one.tolerationSeconds === undefined || one.tolerationSeconds > wide.tolerationSeconds) return false;
  if (operator === "Exists") return true;
  return (operator === "Equal" || operator === "") && one.operator === "Equal" && (one.value ?? "") === value;
}
