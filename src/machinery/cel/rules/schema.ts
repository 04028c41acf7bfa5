/**
 * The part of a schema that rules see, be it of a custom kind or from OpenAPI.
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/common/adaptor.go, escaping.go
 */
export interface Rule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

export interface RuleSchema {
  readonly type?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, RuleSchema>>;
  readonly additionalProperties?: RuleSchema | boolean;
  readonly items?: RuleSchema | readonly RuleSchema[];
  readonly allOf?: readonly RuleSchema[];
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-map-type"?: string;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-validations"?: readonly Rule[];
}

export function itemsOf({ items }: RuleSchema): RuleSchema | undefined {
  return items === undefined || Array.isArray(items) ? undefined : (items as RuleSchema);
}
export function valuesOf({ additionalProperties }: RuleSchema): RuleSchema | undefined {
  return typeof additionalProperties === "object" ? additionalProperties : undefined;
}
export function propertyOf({ properties }: RuleSchema, name: string): RuleSchema | undefined {
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
}
export const isEmbedded = (schema: RuleSchema): boolean => schema["x-kubernetes-embedded-resource"] === true;
export const rulesOf = (schema: RuleSchema): readonly Rule[] => schema["x-kubernetes-validations"] ?? [];

const TEXT: RuleSchema = { type: "string" };
const METADATA: RuleSchema = { type: "object", properties: { name: TEXT, generateName: TEXT } };

/** Rules at the root of an object see its type and its name, whatever the schema says. */
export function withIdentity(schema: RuleSchema): RuleSchema {
  const { kind, apiVersion, metadata } = schema.properties ?? {};
  const said =
    kind?.type === "string" &&
    apiVersion?.type === "string" &&
    metadata?.type === "object" &&
    metadata.properties?.["name"]?.type === "string" &&
    metadata.properties["generateName"]?.type === "string";
  if (said) return schema;
  return { ...schema, properties: { ...schema.properties, kind: TEXT, apiVersion: TEXT, metadata: METADATA } };
}

const RESERVED: ReadonlySet<string> = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);
const ESCAPES: Readonly<Record<string, string>> = {
  __: "__underscores__",
  ".": "__dot__",
  "-": "__dash__",
  "/": "__slash__",
};

/** A property's name as an expression writes it; undefined where it can't be written. */
export function escapeName(name: string): string | undefined {
  if (!/^[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*$/.test(name)) return undefined;
  if (RESERVED.has(name)) return `__${name}__`;
  return name.replaceAll(/__|[.\-/]/g, (part) => ESCAPES[part]!);
}

/** What an expression means by a word that CEL keeps for itself: since Kubernetes 1.31 a property needs no underscores where it stands behind a dot. */
export function unescapedKeyword(name: string): string | undefined {
  return RESERVED.has(name) ? `__${name}__` : undefined;
}
