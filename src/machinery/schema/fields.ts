/** The fields of a struct with what a decoder needs to know about all of them together: their positions, and which ones are defaulted. */
import type { Schema } from "./schema.ts";

export interface Place {
  readonly name: string;
  readonly schema: Schema;
  /** Among its siblings. */
  readonly index: number;
}

export interface Layout {
  readonly places: ReadonlyMap<string, Place>;
  /** The fields with a default, in order. */
  readonly defaulted: readonly Place[];
  /** The fields that Go writes as null where there is nothing. */
  readonly nullable: readonly Place[];
}

/** A map of fields that remembers its layout. Fill it before it is read. */
export class Fields extends Map<string, Schema> {
  #layout: Layout | undefined;

  get layout(): Layout {
    return (this.#layout ??= layoutOf(this));
  }
}

/** Times are structs, which `omitempty` doesn't leave out: only an object's own time of creation says that it is. */
export function isNil({ type, format, pointer, values, omitEmpty }: Schema): boolean {
  if (pointer === true || type === "array" || values !== undefined || format === "byte") return omitEmpty !== true;
  return format === "date-time" || format === "micro-time";
}

/** A default that is Go's zero value shows only where that is written out. */
function isLeftOut({ omitEmpty, pointer, default: value }: Schema): boolean {
  return omitEmpty === true && pointer !== true && (value === 0 || value === "" || value === false);
}

/** Any other map of fields is looked through each time. */
export function layoutOf(fields: ReadonlyMap<string, Schema>): Layout {
  const places = new Map<string, Place>();
  const defaulted: Place[] = [];
  const nullable: Place[] = [];
  for (const [name, schema] of fields) {
    const place = { name, schema, index: places.size };
    places.set(name, place);
    if (schema.default !== undefined && !isLeftOut(schema)) defaulted.push(place);
    if (isNil(schema) && !(name === "creationTimestamp" && fields.has("generateName"))) nullable.push(place);
  }
  return { places, defaulted, nullable };
}
