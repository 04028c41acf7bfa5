/**
 * Field sets: which fields of an object someone owns. A set is kept as it travels, a FieldsV1 object: `f:name` for a member,
 * `k:{…}` for an item of a keyed list, `v:…` for an item of a set, and `{}` at what is owned; `.` where a node is owned that
 * has owned fields below. Sets are shared and frozen, and a node that is empty and not owned is never kept.
 *
 * Upstream: sigs.k8s.io/structured-merge-diff/v6/fieldpath
 */
import { isObject, member, setMember } from "../json-value.ts";

/** A node. The root stands for the whole object, which is never owned itself: an empty root is the empty set. */
export interface FieldSet {
  readonly [element: string]: FieldSet;
}

/** What is owned and has nothing below; as a root, the empty set. */
export const LEAF: FieldSet = Object.freeze({});
export const EMPTY: FieldSet = LEAF;

export const isEmptySet = (set: FieldSet): boolean => {
  for (const _element in set) return false;
  return true;
};

/** Whether a node below the root is owned itself. */
export const isOwned = (node: FieldSet): boolean => "." in node || isEmptySet(node);

/** A node from its parts; undefined where nothing is left. */
function node(owned: boolean, children: Record<string, FieldSet> | undefined): FieldSet | undefined {
  if (children === undefined || isEmptySet(children)) return owned ? LEAF : undefined;
  return owned ? { ".": LEAF, ...children } : children;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  return isEmptySet(a) ? b : unite(a, b, true);
}
function unite(a: FieldSet, b: FieldSet, root: boolean): FieldSet {
  if (a === b) return a;
  const children: Record<string, FieldSet> = {};
  for (const element in a) {
    if (element === ".") continue;
    const other = b[element];
    setMember(children, element, other === undefined ? a[element]! : unite(a[element]!, other, false));
  }
  for (const element in b) if (element !== "." && a[element] === undefined) setMember(children, element, b[element]!);
  return root ? children : node(isOwned(a) || isOwned(b), children)!;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return intersect(a, b, true) ?? EMPTY;
}
function intersect(a: FieldSet, b: FieldSet, root: boolean): FieldSet | undefined {
  if (a === b) return a;
  const children: Record<string, FieldSet> = {};
  for (const element in a) {
    const other = b[element];
    if (element === "." || other === undefined) continue;
    const both = intersect(a[element]!, other, false);
    if (both !== undefined) setMember(children, element, both);
  }
  return node(!root && isOwned(a) && isOwned(b), children);
}

/** `a` without what `b` owns. An owned parent in `b` takes nothing of what is below it in `a`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return subtract(a, b, false, true) ?? EMPTY;
}
/** As `difference`, but what `b` owns goes with everything below it. */
export function recursiveDifference(a: FieldSet, b: FieldSet): FieldSet {
  return subtract(a, b, true, true) ?? EMPTY;
}
function subtract(a: FieldSet, b: FieldSet, recursive: boolean, root: boolean): FieldSet | undefined {
  if (!root && recursive && isOwned(b)) return undefined;
  let changed = false;
  const children: Record<string, FieldSet> = {};
  for (const element in a) {
    if (element === ".") continue;
    const mine = a[element]!;
    const other = b[element];
    const rest = other === undefined ? mine : subtract(mine, other, recursive, false);
    if (rest !== mine) changed = true;
    if (rest !== undefined) setMember(children, element, rest);
  }
  const owned = !root && isOwned(a);
  const keeps = owned && !isOwned(b);
  return !changed && keeps === owned ? a : node(keeps, children);
}

/** Whether everything in `a` is in `b` too. */
export function isSubset(a: FieldSet, b: FieldSet): boolean {
  return isEmptySet(difference(a, b));
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  const elements = Object.keys(a);
  if (elements.length !== Object.keys(b).length) return false;
  return elements.every((element) => b[element] !== undefined && equalSets(a[element]!, b[element]));
}

/** A set of plain paths: `fieldSet("status", "metadata.labels")`. */
export function fieldSet(...paths: readonly string[]): FieldSet {
  return paths.reduce<FieldSet>((set, path) => {
    const one = path.split(".").reduceRight<FieldSet>((below, name) => ({ [`f:${name}`]: below }), LEAF);
    return union(set, one);
  }, EMPTY);
}

/** Reads a FieldsV1 object. Elements of unknown kind are dropped with what is below. Throws what upstream says of a bad key. */
export function decodeFieldSet(fields: unknown): FieldSet {
  return decodeNode(fields) as FieldSet;
}
function decodeNode(fields: unknown): unknown {
  if (!isObject(fields)) throw new Error("error decoding set: expected an object");
  let clean: Record<string, unknown> | undefined;
  for (const element in fields) {
    if (element === ".") continue;
    if (element.length < 2) throw new Error(`error decoding set: key must be 2 characters long: ${element}`);
    if (element[1] !== ":") throw new Error(`error decoding set: missing colon: ${element}`);
    const below = "fvki".includes(element[0]!) ? decodeNode(fields[element]) : undefined;
    if (below !== fields[element]) {
      clean ??= { ...fields };
      if (below === undefined) delete clean[element];
      else setMember(clean, element, below);
    }
  }
  return clean ?? fields;
}

/** The set with its elements in upstream's order: names, keys, values, indices. */
export function inWireOrder(set: FieldSet): FieldSet {
  const elements = Object.keys(set);
  const sorted = elements.every((element, i) => i === 0 || compareElements(elements[i - 1]!, element) <= 0);
  let changed = !sorted;
  const ordered: Record<string, FieldSet> = {};
  for (const element of sorted ? elements : elements.sort(compareElements)) {
    const below = inWireOrder(set[element]!);
    if (below !== set[element]) changed = true;
    setMember(ordered, element, below);
  }
  return changed ? ordered : set;
}

const RANK: Readonly<Record<string, number>> = { ".": 0, f: 1, k: 2, v: 3, i: 4 };

function compareElements(a: string, b: string): number {
  const rank = RANK[a[0]!]! - RANK[b[0]!]!;
  if (rank !== 0 || a === b) return rank;
  if (a[0] === "f") return a < b ? -1 : 1;
  const [left, right] = [JSON.parse(a.slice(2)) as unknown, JSON.parse(b.slice(2)) as unknown];
  if (a[0] !== "k") return compareScalars(left, right);
  const [ours, theirs] = [Object.entries(left as object), Object.entries(right as object)];
  for (let i = 0; i < ours.length && i < theirs.length; i++) {
    const [name, value] = ours[i]!;
    const [otherName, otherValue] = theirs[i]!;
    if (name !== otherName) return name < otherName ? -1 : 1;
    const order = compareScalars(value, otherValue);
    if (order !== 0) return order;
  }
  return ours.length - theirs.length;
}

/** Numbers before strings before booleans before null. */
function compareScalars(a: unknown, b: unknown): number {
  const kinds = ["number", "string", "boolean", "object"];
  const kind = kinds.indexOf(typeof a) - kinds.indexOf(typeof b);
  if (kind !== 0) return kind;
  if (typeof a === "number") return a - (b as number);
  if (typeof a === "string") return a < (b as string) ? -1 : a > (b as string) ? 1 : 0;
  return Number(a) - Number(b);
}

/** Every owned path as messages print it (`.spec.ports[port=80].name`): a node's own members first, then what is below. */
export function pathsOf(set: FieldSet, prefix = ""): readonly string[] {
  const elements = Object.keys(set)
    .filter((element) => element !== ".")
    .sort(compareElements);
  return [
    ...elements.filter((element) => isOwned(set[element]!)).map((element) => prefix + elementText(element)),
    ...elements.flatMap((element) =>
      isEmptySet(set[element]!) ? [] : pathsOf(set[element]!, prefix + elementText(element)),
    ),
  ];
}

export function elementText(element: string): string {
  const rest = element.slice(2);
  if (element[0] === "f") return `.${rest}`;
  if (element[0] === "i") return `[${rest}]`;
  const value: unknown = JSON.parse(rest);
  if (element[0] === "v") return `[=${JSON.stringify(value)}]`;
  return `[${Object.entries(value as object)
    .map(([name, key]) => `${name}=${JSON.stringify(key)}`)
    .join(",")}]`;
}

export const fieldElement = (name: string): string => `f:${name}`;
export const valueElement = (value: unknown): string => `v:${goJson(value)}`;

/** `keys` in the order of names, each with the item's value. */
export function keyElement(keys: readonly (readonly [string, unknown])[]): string {
  let text = "";
  for (const [name, value] of keys) text += `${text === "" ? "" : ","}${goJson(name)}:${goJson(value)}`;
  return `k:{${text}}`;
}

/** JSON as Go writes it, with HTML escaped. */
function goJson(value: unknown): string {
  const text = JSON.stringify(value);
  return /[<>&\u2028\u2029]/.test(text)
    ? text.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
    : text;
}

/** The set below one element; the empty set where there is none. */
export const below = (set: FieldSet, element: string): FieldSet => (member(set, element) as FieldSet) ?? EMPTY;
