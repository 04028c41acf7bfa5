/** Descriptions of types and fields, from a file that the build creates; without it `kubectl explain` shows only the structure. */

/** By a type's name in OpenAPI: its own words under the empty name, its fields' under theirs. */
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What an OpenApiSource takes as `describe`. */
export function describeWith(descriptions: Descriptions): (name: string, field?: string) => string | undefined {
  return (name, field = "") =>
    Object.hasOwn(descriptions, name) && Object.hasOwn(descriptions[name]!, field)
      ? descriptions[name]![field]
      : undefined;
}
