/**
 * The schema of a kind, which defaulting, pruning, validation, the codecs, both merge patches, managed fields and OpenAPI read. For built-in kinds
 * it comes from generated facts, for custom ones from their CRD.
 */
export interface Schema {
  readonly type: "object" | "array" | "string" | "integer" | "number" | "boolean" | "any";
  /**
   * `int32`, `int64`, `double`, `byte`, `date-time`, `int-or-string`, `quantity`, `micro-time`, `duration`, `raw`, `fields`, `json`; and for
   * what a CRD's own schema may hold, `schema-or-array`, `schema-or-bool`, `schema-or-strings`, with that schema in `items`.
   */
  readonly format?: string;
  /** The schema's name in OpenAPI (`io.k8s.api.core.v1.PodSpec`) where it is a named one. */
  readonly name?: string;
  readonly properties?: ReadonlyMap<string, Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  /** The values of a map. */
  readonly values?: Schema;
  /** Filled in when the field is absent on decoding: Go's zero structs and strings without omitempty, and a CRD's defaults. */
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly nullable?: boolean;
  readonly preserveUnknownFields?: boolean;
  readonly embeddedResource?: boolean;

  /** Server-side apply: how a list merges (default atomic) and a map or struct (default granular). */
  readonly listType?: "atomic" | "set" | "map";
  readonly listMapKeys?: readonly string[];
  readonly mapType?: "atomic" | "granular";
  /** Strategic merge patch. */
  readonly patchStrategy?: readonly ("merge" | "replace" | "retainKeys")[];
  readonly patchMergeKey?: string;
  readonly unions?: readonly { readonly discriminator?: string; readonly fields: readonly string[] }[];

  /** Protobuf: the field's number within its parent, and its wire type where it isn't what `type` and `format` say. */
  readonly proto?: {
    readonly number: number;
    readonly type: string;
    /** The numbers of the embedded messages to go through, where Go embeds a struct that JSON spreads out. */
    readonly within?: readonly number[];
  };
  /** Go's name for a scalar that has one (`v1.RestartPolicy`): decoding errors show it. */
  readonly goType?: string;
  /** Go leaves an empty value out when it encodes. */
  readonly omitEmpty?: boolean;
  /** Go's field is a pointer: absent differs from zero. */
  readonly pointer?: boolean;
}
