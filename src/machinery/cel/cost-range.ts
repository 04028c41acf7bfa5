/** Arithmetic on ranges of sizes and costs. It saturates where Go's uint64 ends, because upstream's does. */

/** What a size or a cost is at least and at most. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

export const MOST = 2 ** 64;
export const saturated = (value: number): number => Math.min(value, MOST);
export const fixed = (value: number): Range => ({ min: value, max: value });
export const UNKNOWN: Range = { min: 0, max: MOST };
export const ONE = fixed(1);
export const NONE = fixed(0);

export const plus = (a: Range, b: Range): Range => ({ min: saturated(a.min + b.min), max: saturated(a.max + b.max) });
const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : saturated(a * b));
export const times = (a: Range, b: Range): Range => ({ min: product(a.min, b.min), max: product(a.max, b.max) });
export const factor = (a: Range, by: number): Range => ({
  min: saturated(Math.ceil(product(a.min, by))),
  max: saturated(Math.ceil(product(a.max, by))),
});
export const union = (a: Range, b: Range): Range => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) });
export const sum = (ranges: readonly Range[]): Range => ranges.reduce(plus, NONE);

/** Looking at one element or character. */
export const TRAVERSAL = 0.1;
/** For each character of a pattern, times the length of the text. */
export const REGEX_LENGTH = 0.25;
export const LIST_COST = fixed(10);
export const MAP_COST = fixed(30);
export const STRUCT_COST = fixed(40);
