/**
 * How an error shows a structure. Upstream validates its internal types, whose fields have Go's names and are all printed; parts that come from
 * apimachinery (selectors, quantities, times) print as they do on the wire.
 */
import type { Schema } from "../machinery/schema/schema.ts";
import { schemaOf } from "./schemas.ts";

const INITIALISMS: Readonly<Record<string, string>> = {
  apiGroup: "APIGroup",
  apiGroups: "APIGroups",
  apiVersion: "APIVersion",
  apiVersions: "APIVersions",
  cidrs: "CIDRs",
  cidr: "CIDR",
  uid: "UID",
  url: "URL",
  caBundle: "CABundle",
  cel: "CEL",
};
const WIRE = "io.k8s.apimachinery.";

/** `type` is the name of the structure's schema (`io.k8s.api.apps.v1.DeploymentStrategy`). */
export function internalValue(value: unknown, type: string): unknown {
  return shown(value, schemaOf(type));
}

function shown(value: unknown, schema: Schema | undefined): unknown {
  if (schema === undefined || schema.format !== undefined) return value ?? zero(schema);
  if (value === undefined || value === null) return zero(schema);
  if (Array.isArray(value))
    return value.length === 0 && schema.omitEmpty === true ? null : value.map((one) => shown(one, schema.items));
  if (typeof value !== "object") return value;
  const object = value as Readonly<Record<string, unknown>>;
  if (schema.values !== undefined || schema.name?.startsWith(WIRE) === true) return sorted(object, schema);
  if (schema.properties === undefined) return value;
  return Object.fromEntries(
    [...schema.properties].map(([name, field]) => [
      INITIALISMS[name] ?? `${name[0]!.toUpperCase()}${name.slice(1)}`,
      shown(object[name], field),
    ]),
  );
}

/** Go's JSON has maps in the order of their keys, and structures in that of their declaration. */
export function sorted(object: Readonly<Record<string, unknown>>, schema?: Schema): unknown {
  const entries = Object.entries(object);
  if (schema?.properties !== undefined) {
    const order = [...schema.properties.keys()];
    entries.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
    return Object.fromEntries(
      entries.map(([key, value]) => {
        const field = schema.properties!.get(key);
        return [key, field?.values !== undefined ? sorted(value as Readonly<Record<string, unknown>>) : value];
      }),
    );
  }
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function zero(schema: Schema | undefined): unknown {
  if (schema === undefined || schema.pointer === true) return null;
  if (schema.type === "string") return "";
  if (schema.type === "integer" || schema.type === "number") return 0;
  if (schema.type === "boolean") return false;
  if (schema.type !== "object" || schema.values !== undefined) return null;
  return schema.name === undefined || schema.name.startsWith(WIRE) ? null : shown({}, schema);
}

/** A selector as an error shows it. */
export const selectorValue = (selector: object | undefined): unknown =>
  selector === undefined ? null : internalValue(selector, "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector");
