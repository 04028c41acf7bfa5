/** The three conditions under which upstream sets a default: the field is absent, an empty string, or zero. */
import type { Mutable } from "../base/mutable.ts";
import { formatQuantity, parseQuantity, roundUpToMilli } from "../machinery/meta/quantity.ts";

export function ifAbsent<O extends object, K extends keyof O>(object: O, field: K, value: NonNullable<O[K]>): void {
  if (object[field] === undefined || object[field] === null) object[field] = value;
}

/** Absent, `""` or 0. */
export function ifEmpty<O extends object, K extends keyof O>(object: O, field: K, value: NonNullable<O[K]>): void {
  const now: unknown = object[field];
  if (now === undefined || now === null || now === "" || now === 0) object[field] = value;
}

/** Amounts of resources print canonically and hold nothing finer than a thousandth. */
export function roundResourceList(list: Mutable<Readonly<Record<string, string>>> | undefined): void {
  for (const [name, text] of Object.entries(list ?? {})) {
    const quantity = parseQuantity(text);
    if (quantity !== undefined) list![name] = formatQuantity(roundUpToMilli(quantity));
  }
}
