/**
 * Writes the schema facts of all built-in kinds: TypeScript types (one file a group version), `schemas.json` (structure, list types, merge keys,
 * enums, defaults, protobuf numbers) and `resources.json` (what is served where).
 */
import { writeSchemas } from "./schemas.ts";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

export interface OpenApiSchema {
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly required?: readonly string[];
  readonly items?: OpenApiSchema;
  readonly additionalProperties?: OpenApiSchema;
  readonly default?: unknown;
  readonly oneOf?: unknown;
  readonly enum?: readonly string[];
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: string;
  readonly "x-kubernetes-patch-strategy"?: string;
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly "x-kubernetes-unions"?: readonly {
    readonly discriminator?: string;
    readonly "fields-to-discriminateBy": Readonly<Record<string, string>>;
  }[];
  readonly "x-kubernetes-group-version-kind"?: readonly {
    readonly group: string;
    readonly kind: string;
    readonly version: string;
  }[];
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const SPECIAL: Readonly<Record<string, string>> = {
  [`${META}Time`]: "string",
  [`${META}MicroTime`]: "string",
  [`${META}Duration`]: "string",
  [`${META}FieldsV1`]: "Readonly<Record<string, unknown>>",
  "io.k8s.apimachinery.pkg.api.resource.Quantity": "string",
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "number | string",
  "io.k8s.apimachinery.pkg.runtime.RawExtension": "unknown",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "unknown",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray":
    "JSONSchemaProps | readonly JSONSchemaProps[]",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "JSONSchemaProps | boolean",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray":
    "JSONSchemaProps | readonly string[]",
};

/** `io.k8s.api.core.v1.Pod` -> file `core.v1`, name `Pod`. */
function place(full: string): { readonly file: string; readonly name: string } {
  const parts = full.split(".");
  const name = parts.at(-1)!;
  const version = parts.at(-2)!;
  if (full.startsWith(META)) return { file: "meta.v1", name };
  return { file: `${parts.at(-3)!}.${version}`, name };
}

export function writeTypes(schemas: Readonly<Record<string, OpenApiSchema>>): void {
  const files = new Map<string, { readonly body: string[]; readonly imports: Map<string, Set<string>> }>();
  for (const [full, schema] of Object.entries(schemas)) {
    if (full in SPECIAL || full.startsWith("io.k8s.apimachinery.pkg.version")) continue;
    const { file, name } = place(full);
    const target = files.get(file) ?? { body: [], imports: new Map<string, Set<string>>() };
    files.set(file, target);
    const isKind =
      schema["x-kubernetes-group-version-kind"] !== undefined &&
      schema.properties?.["apiVersion"] !== undefined &&
      !full.startsWith(META);
    const type = (s: OpenApiSchema): string => {
      if (s.$ref !== undefined) {
        if (s.$ref in SPECIAL) return SPECIAL[s.$ref]!;
        const to = place(s.$ref);
        if (to.file !== file) {
          const names = target.imports.get(to.file) ?? new Set<string>();
          target.imports.set(to.file, names.add(to.name));
        }
        return to.name;
      }
      if (s.type === "array") {
        const inner = type(s.items!);
        return `readonly ${/[ |]/.test(inner) ? `(${inner})` : inner}[]`;
      }
      if (s.additionalProperties !== undefined) return `Readonly<Record<string, ${type(s.additionalProperties)}>>`;
      if (s.format === "int-or-string" || s.oneOf !== undefined) return "number | string";
      if (s.type === "integer" || s.type === "number") return "number";
      if (s.type === "boolean") return "boolean";
      if (s.type === "string") return "string";
      return s.type === "object" ? "Readonly<Record<string, unknown>>" : "unknown";
    };
    target.body.push(`export interface ${name} {`);
    for (const [property, s] of Object.entries(schema.properties ?? {})) {
      let t = type(s);
      let required = schema.required?.includes(property) === true || s.default !== undefined;
      if (isKind && ["apiVersion", "kind", "metadata"].includes(property)) required = true;
      if (full === `${META}ObjectMeta` && ["name", "uid", "resourceVersion", "creationTimestamp"].includes(property))
        required = true;
      if (property === "metadata" && t === "ObjectMeta" && !isKind) t = "Partial<ObjectMeta>";
      if (isKind && (property === "spec" || property === "status")) required = true;
      const key = /^[A-Za-z_$][\w$]*$/.test(property) ? property : JSON.stringify(property);
      target.body.push(`  readonly ${key}${required ? "" : "?"}: ${t};`);
    }
    target.body.push("}", "");
  }
  for (const [file, { body, imports }] of files) {
    const meta = file === "meta.v1";
    const lines = [...imports]
      .sort()
      .map(
        ([from, names]) =>
          `import type { ${[...names].sort().join(", ")} } from "${from === "meta.v1" ? "../../machinery/meta/types.ts" : `./${from}.ts`}";`,
      );
    const text = [
      "// Generated by tools/generate from upstream's schema tables; do not edit.",
      ...lines,
      "",
      ...body,
    ].join("\n");
    writeFileSync(meta ? "src/machinery/meta/types.ts" : `src/api/generated/${file}.ts`, text);
  }
}

export function writeApi(facts: string): void {
  mkdirSync("src/api/generated", { recursive: true });
  const openapi = JSON.parse(readFileSync(`${facts}/kubernetes-openapi-1.36.json`, "utf8")) as {
    readonly schemas: Record<string, OpenApiSchema>;
  };
  writeTypes(openapi.schemas);
  writeSchemas(facts, openapi.schemas);
}
