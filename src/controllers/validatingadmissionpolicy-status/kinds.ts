/** The schemas of kinds: those of built-in kinds are known, others are requested from the server. */
import { builtinResources } from "../../api/index.ts";
import type { Transport } from "../../client/transport.ts";
import type { RuleSchema } from "../../machinery/cel/rules/schema.ts";
import type { APIResourceList } from "../../machinery/meta/types.ts";
import type { Schema } from "../../machinery/schema/schema.ts";
import type { Gvk, Kinds } from "./check.ts";

export function kindsOf(transport: Transport, signal: AbortSignal): Kinds {
  return {
    async kindOf(group, version, plural) {
      const known = builtinResources.find((r) => r.group === group && r.version === version && r.plural === plural);
      if (known !== undefined) return { group, version, kind: known.kind };
      if (group === "") return undefined;
      const path = `/apis/${group}/${version}`;
      const list = (await transport.send({ method: "GET", path, signal }).catch(() => undefined)) as
        | APIResourceList
        | undefined;
      const kind = list?.resources?.find(({ name }) => name === plural)?.kind;
      return kind === undefined ? undefined : { group, version, kind };
    },
    async schemaOf(gvk) {
      const { group, version, kind } = gvk;
      const known = builtinResources.find((r) => r.group === group && r.version === version && r.kind === kind);
      if (known !== undefined) return ruleSchema(known.schema, []);
      return group === "" ? undefined : await served(gvk, transport, signal);
    },
  };
}

/** Where a type is inside of itself, nothing is said of it. */
function ruleSchema(schema: Schema, within: readonly string[]): RuleSchema {
  const { name } = schema;
  if (name !== undefined && within.includes(name)) return { type: "object" };
  const inside = name === undefined ? within : [...within, name];
  const go = (inner: Schema) => ruleSchema(inner, inside);
  if (schema.format === "int-or-string") return { "x-kubernetes-int-or-string": true };
  const { properties, values, items, type } = schema;
  return {
    ...(type !== "any" && { type }),
    ...(schema.format !== undefined && { format: schema.format }),
    ...(properties !== undefined && {
      properties: Object.fromEntries([...properties].map(([field, inner]) => [field, go(inner)])),
    }),
    ...(values !== undefined && { additionalProperties: go(values) }),
    ...(items !== undefined && { items: go(items) }),
  };
}

async function served(
  { group, version, kind }: Gvk,
  transport: Transport,
  signal: AbortSignal,
): Promise<RuleSchema | undefined> {
  const path = `/openapi/v3/apis/${group}/${version}`;
  const { status, body } = await transport.raw({ method: "GET", path, signal });
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  if (status !== 200) return undefined;
  const { components } = JSON.parse(Buffer.concat(chunks).toString());
  const schemas: Readonly<Record<string, any>> = components?.schemas ?? {};
  const isKind = (one: any): boolean => one.group === group && one.version === version && one.kind === kind;
  const name = Object.keys(schemas).find((each) => schemas[each]["x-kubernetes-group-version-kind"]?.some(isKind));
  return name === undefined ? undefined : resolved(schemas[name], schemas, [name]);
}

const REFERENCE = "#/components/schemas/";

/** A document's schema with what it refers to in its place. */
function resolved(schema: any, schemas: Readonly<Record<string, any>>, within: readonly string[]): RuleSchema {
  const reference: string | undefined = schema.$ref ?? schema.allOf?.find(({ $ref }: any) => $ref !== undefined)?.$ref;
  if (reference !== undefined) {
    const name = reference.slice(REFERENCE.length);
    if (within.includes(name) || schemas[name] === undefined) return { type: "object" };
    return resolved(schemas[name], schemas, [...within, name]);
  }
  const { properties, additionalProperties, items, ...rest } = schema;
  const go = (inner: any) => resolved(inner, schemas, within);
  if (rest.format === "int-or-string") return { "x-kubernetes-int-or-string": true };
  return {
    ...rest,
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([field, inner]) => [field, go(inner)])),
    }),
    ...(typeof additionalProperties === "object" && { additionalProperties: go(additionalProperties) }),
    ...(items !== undefined && { items: go(items) }),
  };
}
