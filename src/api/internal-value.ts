/**
 * How error messages print a structure. Upstream validates its internal types, so all fields are printed, under Go's names; parts that come from
 * apimachinery (selectors, quantities, times) are printed as they are encoded.
 */
import { isGivenEmpty } from "../machinery/codec/empties.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import { unifiedDiff } from "../machinery/validation/unified-diff.ts";
import orders from "./generated/internal-names.json" with { type: "json" };
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
/** The fields of types whose internal form has others, other names for them or another order: `Go's name=the wire's`. */
const ORDERS: Readonly<Record<string, string>> = orders;
/** What internal types hold one level further down than the wire does. */
/** References on the wire that are plain values internally. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  "io.k8s.api.apps.v1.RollingUpdateDeployment": ["maxUnavailable", "maxSurge"],
  "io.k8s.api.apps.v1.RollingUpdateDaemonSet": ["maxUnavailable", "maxSurge"],
  "io.k8s.api.apps.v1.RollingUpdateStatefulSetStrategy": ["partition"],
};
const FROM_POD_SPEC = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] as const;
const POD_SPEC = "io.k8s.api.core.v1.PodSpec";

type Tree = Readonly<Record<string, unknown>>;

/** `type` is the name of the structure's schema (`io.k8s.api.apps.v1.DeploymentStrategy`); `as` names a part of it that is a type of its own internally. */
export function internalValue(value: unknown, type: string, as: string = type): unknown {
  return shown(value, schemaOf(type), as);
}

/** What a change to something immutable is told: the lines of both internal forms that differ. */
export function internalDiff(old: unknown, now: unknown, type: string, as: string = type): string {
  const [before, after] = [old, now].map((value) => JSON.stringify(internalValue(value, type, as), undefined, 1));
  return unifiedDiff(safeForHtml(before!), safeForHtml(after!));
}

const safeForHtml = (text: string): string =>
  text.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);

function shown(value: unknown, schema: Schema | undefined, as = schema?.name): unknown {
  if (schema === undefined || schema.format !== undefined) return value ?? zero(schema);
  if (value === undefined || value === null) return zero(schema);
  if (Array.isArray(value))
    return value.length === 0 && Array.isArray(schema.default) && !isGivenEmpty(value)
      ? null
      : value.map((one) => shown(one, schema.items));
  if (typeof value !== "object") return value;
  const object = value as Tree;
  if (schema.values !== undefined) return sorted(shownValues(object, schema.values));
  if (schema.name?.startsWith(WIRE) === true) return sorted(withoutEmpties(object, schema), schema);
  if (schema.properties === undefined) return value;
  return Object.fromEntries(fieldsOf(object, schema, ORDERS[as ?? ""]));
}

function shownValues(object: Tree, schema: Schema): Tree {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, shown(value, schema)]));
}

function fieldsOf(object: Tree, schema: Schema, order: string | undefined): [string, unknown][] {
  if (order === undefined)
    return [...schema.properties!].map(([name, field]) => [
      INITIALISMS[name] ?? `${name[0]!.toUpperCase()}${name.slice(1)}`,
      shown(object[name] ?? (VALUES[schema.name ?? ""]?.includes(name) === true ? 0 : undefined), field),
    ]);
  return order.split(" ").flatMap((entry): [string, unknown][] => {
    const [goName, name] = entry.split("=") as [string, string | undefined];
    if (goName === "*metadata") {
      const field = schema.properties!.get("metadata")!;
      const metadata = sorted(withoutEmpties((object["metadata"] ?? {}) as Tree, field), field);
      return Object.entries(metadata as Tree);
    }
    if (name !== undefined) {
      const part = name === "securityContext" && schema.name === POD_SPEC ? securityContextOf(object) : object[name];
      return [[goName, shown(part, schema.properties!.get(name))]];
    }
    const moved = FROM_POD_SPEC.find((field) => field.toLowerCase() === goName.toLowerCase());
    return [
      [goName, object[moved ?? ""] ?? (moved?.startsWith("host") === true && moved !== "hostUsers" ? false : null)],
    ];
  });
}

function securityContextOf(spec: Tree): Tree {
  const moved = FROM_POD_SPEC.filter((field) => spec[field] !== undefined).map((field) => [field, spec[field]]);
  return { ...(spec["securityContext"] as Tree | undefined), ...Object.fromEntries(moved) };
}

/** Go's JSON has maps in the order of their keys, and structures in that of their declaration. */
export function sorted(object: Tree, schema?: Schema): unknown {
  const entries = Object.entries(object);
  if (schema?.properties !== undefined) {
    // A time is a structure, which is written where there is none.
    for (const [name, field] of schema.properties)
      if (field.format === "date-time" && field.omitEmpty !== true && field.pointer !== true && !(name in object))
        if (name !== "creationTimestamp") entries.push([name, null]);
    const order = [...schema.properties.keys()];
    entries.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
    return Object.fromEntries(
      entries.map(([key, value]) => {
        const field = schema.properties!.get(key);
        return [key, field?.values !== undefined ? sorted(value as Tree) : value];
      }),
    );
  }
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What was given empty isn't written, on any level. */
function withoutEmpties(object: Tree, schema: Schema): Tree {
  const fields = Object.entries(object).flatMap(([key, value]): [string, unknown][] => {
    const field = schema.properties?.get(key);
    if (field === undefined || typeof value !== "object" || value === null) return [[key, value]];
    if (field.omitEmpty === true && isGivenEmpty(value)) return [];
    const items = field.items;
    if (items?.properties === undefined || !Array.isArray(value)) return [[key, value]];
    return [[key, value.map((one) => withoutEmpties(one, items))]];
  });
  return Object.fromEntries(fields);
}

function zero(schema: Schema | undefined): unknown {
  if (schema?.format === "int-or-string" && schema.pointer !== true) return 0;
  if (schema === undefined || schema.pointer === true) return null;
  if (schema.format === "quantity") return "0";
  if (schema.format === "byte" || schema.format === "date-time" || schema.format === "micro-time") return null;
  if (schema.type === "string") return "";
  if (schema.type === "integer" || schema.type === "number") return 0;
  if (schema.type === "boolean") return false;
  if (schema.type !== "object" || schema.values !== undefined) return null;
  return schema.name === undefined || schema.name.startsWith(WIRE) ? null : shown({}, schema);
}

/** A selector as an error shows it. */
export const selectorValue = (selector: object | undefined): unknown =>
  selector === undefined ? null : internalValue(selector, "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector");
