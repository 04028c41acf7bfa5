/**
 * Remembers lists and maps that a client sends empty. Go distinguishes them from absent ones during defaulting and validation, but omits both when
 * it encodes; so objects do not have them, and where they were is remembered for the duration of a write.
 */

/** Where an empty list or map was given: names of fields and keys, and indexes. */
export interface EmptyPlace {
  readonly path: readonly (string | number)[];
  readonly list: boolean;
  /** The field is written even when it is empty. */
  readonly written: boolean;
}

const EMPTIES = Symbol("empties");
const GIVEN = Symbol("given");

export function rememberEmpties(object: any, places: readonly EmptyPlace[]): void {
  if (places.length > 0) object[EMPTIES] = places;
}

/** For a draft that shares its parts with an object that was written before: what was given to that one is no longer asked about. */
export function forgetEmpties(object: any): void {
  delete object[EMPTIES];
}

/** Puts what was given empty where it was, unless something else is there by now. */
export function restoreEmpties(object: any): void {
  for (const { path, list } of placesOf(object)) {
    const [parent, field] = fieldAt(object, path);
    if (parent === undefined || (parent[field] !== undefined && !isEmpty(parent[field]))) continue;
    parent[field] = given(list ? [] : {});
  }
}

/** Only those that are written: who compares the object with another one tells them from lists that are not there. */
export function restoreWrittenEmpties(object: any): void {
  for (const { path, list, written } of placesOf(object)) {
    if (!list || !written) continue;
    const [parent, field] = fieldAt(object, path);
    if (parent?.[field] !== undefined && isEmpty(parent[field]) && !Object.isFrozen(parent)) parent[field] = given([]);
  }
}

/** Every empty list of a tree that was just read counts as given. */
export function markGiven(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value) && value.length === 0) {
    if (!Object.isFrozen(value) && !(GIVEN in value)) given(value);
  } else for (const inner of Object.values(value)) markGiven(inner);
}

const given = <T extends object>(value: T): T => Object.defineProperty(value, GIVEN, { value: true });

/** Takes away what is still empty where it was given so, and need not be written. */
export function dropEmpties(object: any): void {
  for (const { path, list, written } of placesOf(object)) {
    const [parent, field] = fieldAt(object, path);
    if (parent?.[field] === undefined || !isEmpty(parent[field]) || Object.isFrozen(parent)) continue;
    if (written) parent[field] = list ? [] : {};
    else delete parent[field];
  }
}

/** An empty list that a client gave, or an empty map; an empty structure is something else. */
export const isGivenEmpty = (value: object): boolean => GIVEN in value && isEmpty(value);

const placesOf = (object: any): readonly EmptyPlace[] => object[EMPTIES] ?? [];

function fieldAt(object: any, path: readonly (string | number)[]): readonly [any, string | number] {
  let at = object;
  for (const step of path.slice(0, -1)) {
    at = at[step];
    if (typeof at !== "object" || at === null) return [undefined, ""];
  }
  return [at, path.at(-1)!];
}

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.length === 0
    : typeof value === "object" && value !== null && Object.keys(value).length === 0;
