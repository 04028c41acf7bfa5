/**
 * Writes `src/api/generated/schemas.json`: one row a type, one row a field, joined from three tables. OpenAPI says the structure and how lists
 * merge, Go says what is left out when empty and what is a pointer, protobuf says the numbers. Types that OpenAPI lacks (what isn't served
 * by default, and what travels outside resources) come from Go and protobuf alone.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { FieldRow, TypeRow } from "../../src/api/schemas.ts";
import type { OpenApiSchema } from "./api.ts";

interface GoField {
  readonly go: string;
  readonly omitempty?: boolean;
  readonly tags?: readonly string[];
}
interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly label?: string;
  readonly mapKey?: string;
}
type GoTypes = Readonly<Record<string, Readonly<Record<string, GoField>>>>;
type Messages = Readonly<Record<string, readonly ProtoField[]>>;

const SPECIAL: Readonly<Record<string, string>> = {
  "meta.v1.Time": "time",
  "meta.v1.MicroTime": "micro-time",
  "meta.v1.Duration": "duration",
  "meta.v1.FieldsV1": "fields",
  "api.resource.Quantity": "quantity",
  "util.intstr.IntOrString": "int-or-string",
  "pkg.runtime.RawExtension": "raw",
  "apiextensions.v1.JSON": "json",
  "apiextensions.v1.JSONSchemaPropsOrArray": "schema-or-array",
  "apiextensions.v1.JSONSchemaPropsOrBool": "schema-or-bool",
  "apiextensions.v1.JSONSchemaPropsOrStringArray": "schema-or-strings",
};
const WRAPPED = /\.(ExtraValue|Verbs)$/;
const LEFT_OUT =
  /^io\.k8s\.(apimachinery\.pkg\.((runtime|util|api|version)\.|apis\.testapigroup)|apiextensions-apiserver.*v1beta1)/;

const short = (full: string) => full.split(".").slice(-3).join(".");
const openApiName = (message: string) =>
  message
    .replace(/^\./, "")
    .replace(/^k8s\.io\./, "io.k8s.")
    .replace("apiextensions_apiserver", "apiextensions-apiserver")
    .replace("kube_aggregator", "kube-aggregator");

export function writeSchemas(facts: string, openapi: Readonly<Record<string, OpenApiSchema>>): void {
  const read = (file: string) => JSON.parse(readFileSync(`${facts}/${file}`, "utf8"));
  const go = read("kubernetes-go-1.36.json") as { readonly types: GoTypes; readonly enums: Record<string, string[]> };
  const messages = new Map<string, readonly ProtoField[]>();
  for (const [name, fields] of Object.entries(read("kubernetes-proto-1.36.json").messages as Messages))
    messages.set(openApiName(name), fields);

  const rows: Record<string, TypeRow> = {};
  for (const full of [...new Set([...Object.keys(openapi), ...messages.keys()])].sort()) {
    if (LEFT_OUT.test(full) && !(full in openapi)) continue;
    if (short(full) in SPECIAL || WRAPPED.test(full)) continue;
    rows[full] = typeRow(full);
  }
  const lines = Object.entries(rows).map(([name, row]) => `${JSON.stringify(name)}:${JSON.stringify(row)}`);
  writeFileSync("src/api/generated/schemas.json", `{\n${lines.join(",\n")}\n}\n`);

  function typeRow(full: string): TypeRow {
    const schema = openapi[full];
    const goFields = goFieldsOf(full);
    const message = messages.get(full);
    // Go's order is the order on the wire; what Go's table doesn't have follows by name.
    const order = goFields.size > 0 ? [...goFields.keys()] : (message ?? []).map((field) => field.name);
    const names = schema === undefined ? order : Object.keys(schema.properties ?? {});
    const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
    names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
    const fields: Record<string, FieldRow> = {};
    for (const name of names) {
      const goField = goFields.get(name);
      const place = protoPlace(full, name, new Set(names));
      fields[name] = fieldRow(full, name, schema?.properties?.[name], goField, place);
    }
    const unions = schema?.["x-kubernetes-unions"]?.map((union) => ({
      ...(union.discriminator !== undefined && { discriminator: union.discriminator }),
      fields: Object.keys(union["fields-to-discriminateBy"]),
    }));
    const required = schema?.required;
    const kinds = schema?.["x-kubernetes-group-version-kind"]?.map((k) => `${k.group}/${k.version}/${k.kind}`);
    return {
      ...(kinds !== undefined && { kinds }),
      ...(message !== undefined && { proto: 1 as const }),
      ...(schema?.["x-kubernetes-map-type"] !== undefined && { mapType: schema["x-kubernetes-map-type"] }),
      ...(required !== undefined && { required }),
      ...(unions !== undefined && { unions }),
      fields,
    };
  }

  /** A type's fields as JSON shows them: embedded structs are spread out. */
  function goFieldsOf(full: string): Map<string, GoField> {
    const found = new Map<string, GoField>();
    const visit = (goName: string) => {
      for (const [name, field] of Object.entries(go.types[goName] ?? {})) {
        if (name === "-") continue;
        if (name !== "(inline)") found.set(name, field);
        else if (field.go.endsWith("TypeMeta")) {
          found.set("kind", { go: "string", omitempty: true });
          found.set("apiVersion", { go: "string", omitempty: true });
        } else {
          const inner = field.go.replace(/^\*/, "");
          visit(
            inner.includes(".")
              ? inner.replace("metav1", "meta.v1")
              : `${goName.split(".").slice(0, -1).join(".")}.${inner}`,
          );
        }
      }
    };
    visit(short(full));
    if (found.size === 0) {
      // Go spells it as another version's type, or without tags.
      const other = Object.keys(go.types).find(
        (name) => name.split(".")[0] === short(full).split(".")[0] && name.endsWith(`.${full.split(".").at(-1)!}`),
      );
      if (other !== undefined) visit(other);
      for (const field of messages.get(full) ?? [])
        if (!found.has(field.name) && !openapi[full])
          found.set(field.name, { go: field.type === "bool" ? "bool" : field.type });
    }
    // The Go table keeps one embedded struct a type; the others are found through the messages that protobuf nests.
    for (const inner of embeddedMessages(full))
      for (const [name, field] of goFieldsOf(inner)) if (!found.has(name)) found.set(name, field);
    return found;
  }

  /** Messages that stand for embedded structs: optional ones whose name isn't a JSON field of the type. */
  function embeddedMessages(full: string): string[] {
    const own = go.types[short(full)] ?? {};
    if (!("(inline)" in own)) return [];
    return (messages.get(full) ?? [])
      .filter((f) => f.label === "optional" && !/^[a-z0-9]+$/.test(f.type) && !(f.name in own))
      .map((f) => messageName(full, f.type))
      .filter((name) => !(short(name) in SPECIAL));
  }

  function messageName(within: string, type: string): string {
    return type.includes(".") ? openApiName(type) : `${within.split(".").slice(0, -1).join(".")}.${type}`;
  }

  function protoPlace(
    full: string,
    name: string,
    siblings: ReadonlySet<string>,
  ): { readonly field: ProtoField; readonly within: readonly number[]; readonly message: string } | undefined {
    const fields = messages.get(full) ?? [];
    const field =
      fields.find((f) => f.name === name) ??
      fields.find((f) => f.name.toLowerCase() === name.replaceAll(/[$-]/g, "").toLowerCase());
    if (field !== undefined) return { field, within: [], message: full };
    for (const f of fields) {
      if (siblings.has(f.name) || f.label !== "optional" || /^[a-z0-9]+$/.test(f.type)) continue;
      const inner = protoPlace(messageName(full, f.type), name, siblings);
      if (inner !== undefined) return { ...inner, within: [f.number, ...inner.within] };
    }
    return undefined;
  }

  function fieldRow(
    full: string,
    name: string,
    s: OpenApiSchema | undefined,
    goField: GoField | undefined,
    place: ReturnType<typeof protoPlace>,
  ): FieldRow {
    const tags = new Map((goField?.tags ?? []).map((tag) => tag.split("=", 2) as [string, string]));
    const keys = goField?.tags?.filter((tag) => tag.startsWith("listMapKey=")).map((tag) => tag.slice(11));
    const listType = s?.["x-kubernetes-list-type"] ?? (s === undefined ? tags.get("listType") : undefined);
    const mapKeys = s?.["x-kubernetes-list-map-keys"] ?? (s === undefined && keys?.length ? keys : undefined);
    const mapType = s?.["x-kubernetes-map-type"] ?? (s === undefined ? tags.get("mapType") : undefined);
    const strategy = s?.["x-kubernetes-patch-strategy"] ?? (s === undefined ? tags.get("patchStrategy") : undefined);
    const mergeKey = s?.["x-kubernetes-patch-merge-key"] ?? (s === undefined ? tags.get("patchMergeKey") : undefined);
    const type = s !== undefined ? typeOf(s) : typeOfProto(place, goField);
    const goName = goField?.go.replace(/^(\*|\[\]|map\[string\])+/, "");
    const values = goName === undefined ? undefined : enumOf(full, goName);
    const alias =
      goName !== undefined &&
      /^(\[\]|\{\})*(string|integer:int32|integer:int64)$/.test(type) &&
      !/^(string|int32|int64|int|\[\]string|byte)$/.test(goName);
    const pointer = goField?.go.startsWith("*") === true;
    const zero = zeroOf(type, goField);
    return {
      type,
      ...(place !== undefined && { number: place.field.number }),
      ...(place !== undefined && place.within.length > 0 && { within: place.within }),
      ...(place !== undefined && WRAPPED.test(`.${place.field.type}`) && { wrapped: 1 as const }),
      ...((goField?.omitempty === true || (goField === undefined && (name === "kind" || name === "apiVersion"))) && {
        omit: 1 as const,
      }),
      ...(pointer && { pointer: 1 as const }),
      ...(s?.default !== undefined
        ? { default: s.default }
        : s === undefined && zero !== undefined
          ? { default: zero }
          : {}),
      ...(listType !== undefined && { listType }),
      ...(mapKeys !== undefined && { listMapKeys: mapKeys }),
      ...(mapType !== undefined && { mapType }),
      ...(strategy !== undefined && { strategy }),
      ...(mergeKey !== undefined && { mergeKey }),
      ...(values !== undefined && { enum: values }),
      ...((alias || (type.startsWith("{}") && goField !== undefined && !/^\*?map/.test(goField.go))) && {
        go: goTypeName(full, goName!),
      }),
    };
  }

  /** As decoding errors print it: the package's last part and the name, `v1.RestartPolicy`. */
  function goTypeName(full: string, goName: string): string {
    if (!goName.includes(".")) return `${full.split(".").at(-2)!}.${goName}`;
    const [alias, name] = goName.split(".") as [string, string];
    return `${/v\d+((alpha|beta)\d+)?$/.exec(alias)?.[0] ?? alias}.${name}`;
  }

  function enumOf(full: string, goName: string): readonly string[] | undefined {
    const [, group, version] = /([^.]+)\.([^.]+)\.[^.]+$/.exec(full)!;
    const imported = /^(core|meta)?v1\.(.+)$/.exec(goName);
    return (
      go.enums[`${group}.${version}.${goName}`] ??
      (imported !== null ? (go.enums[`core.v1.${imported[2]}`] ?? go.enums[`meta.v1.${imported[2]}`]) : undefined)
    );
  }

  function zeroOf(type: string, goField: GoField | undefined): unknown {
    if (goField === undefined || goField.go.startsWith("*")) return undefined;
    if (/^[a-z]+\.[a-z0-9]+\.[A-Z]/.test(type)) return {};
    if (goField.omitempty === true) return undefined;
    if (type === "string") return "";
    if (type === "boolean") return false;
    if (type.startsWith("integer")) return 0;
    return undefined;
  }

  function typeOf(s: OpenApiSchema): string {
    if (s.$ref !== undefined) return SPECIAL[short(s.$ref)] ?? short(s.$ref);
    if (s.type === "array") return `[]${typeOf(s.items!)}`;
    if (s.additionalProperties !== undefined) return `{}${typeOf(s.additionalProperties)}`;
    return s.format === undefined ? (s.type ?? "any") : `${s.type}:${s.format}`;
  }

  function typeOfProto(place: ReturnType<typeof protoPlace>, goField: GoField | undefined): string {
    if (place === undefined) {
      const name = goField?.go.replace(/^\*/, "") ?? "any";
      return name === "string" || name === "bool" || name.startsWith("int") ? scalar(name) : "any";
    }
    const { field, message } = place;
    const one = /^[a-z0-9]+$/.test(field.type) ? scalar(field.type) : named(messageName(message, field.type));
    return field.mapKey !== undefined ? `{}${one}` : field.label === "repeated" ? `[]${one}` : one;
  }

  function named(full: string): string {
    return WRAPPED.test(full) ? "[]string" : (SPECIAL[short(full)] ?? short(full));
  }

  function scalar(type: string): string {
    if (type === "bool" || type === "boolean") return "boolean";
    if (type === "bytes") return "string:byte";
    if (type === "double") return "number:double";
    return type.startsWith("int") ? `integer:${type === "int" ? "int64" : type}` : "string";
  }
}
