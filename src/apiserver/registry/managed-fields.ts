/** Records at every write which manager set which field, so that a later apply knows what it may change. */
import { restoreWrittenEmpties } from "../../machinery/codec/empties.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import { apply } from "../../machinery/patch/apply/apply.ts";
import { union, type FieldSet } from "../../machinery/patch/apply/field-set.ts";
import { type Endpoint, updateManagedFields, type VersionView } from "../../machinery/patch/apply/update.ts";
import type { WriteContext } from "./context.ts";
import { SCALE } from "./specials/body.ts";

/** As much of a write as ownership of fields depends on. */
export type Recorded = Pick<WriteContext, "fieldManager" | "conversions"> & {
  readonly services: Pick<WriteContext["services"], "registry" | "clock">;
};

/** The draft with its managed fields after a create (no `old`), a PUT or a patch. */
export function recordUpdate(context: Recorded, resource: Resource, subresource: string, old: any, draft: any): any {
  restoreWrittenEmpties(draft);
  return updateManagedFields(old, draft, {
    ...endpoint(context, resource, subresource),
    manager: context.fieldManager,
    time: formatTime(context.services.clock.now()),
  });
}

/** The live object with a configuration applied; `live` itself when nothing changes. */
export function applyConfiguration(
  context: Recorded,
  resource: Resource,
  subresource: string,
  live: any,
  configuration: unknown,
  force: boolean,
): any {
  const base = live ?? { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: {} };
  return apply(base, configuration, {
    ...endpoint(context, resource, subresource),
    manager: context.fieldManager,
    force,
    time: formatTime(context.services.clock.now()),
  });
}

/** A Scale after a PUT or a patch of it, and one with a configuration applied. */
export function recordScale(context: Recorded, old: any, draft: any): any {
  return updateManagedFields(old, draft, {
    ...SCALE_ENDPOINT,
    manager: context.fieldManager,
    time: formatTime(context.services.clock.now()),
  });
}

export function applyScale(context: Recorded, live: any, configuration: unknown, force: boolean): any {
  return apply(live, configuration, {
    ...SCALE_ENDPOINT,
    manager: context.fieldManager,
    force,
    time: formatTime(context.services.clock.now()),
  });
}

const SCALE_ENDPOINT = {
  apiVersion: apiVersionOf(SCALE),
  get schema() {
    return SCALE.schema;
  },
  subresource: "scale",
};

function endpoint(context: Recorded, resource: Resource, subresource: string): Endpoint {
  const version = otherVersions(context, resource, subresource);
  return {
    ...(version !== undefined && { version }),
    apiVersion: apiVersionOf(resource),
    schema: resource.schema,
    subresource,
    resetFields: resetFields(resource, subresource),
  };
}

/** What the kind looks like in the versions that entries may be in: versions differ in their fields, and in what is one value to them. */
function otherVersions(
  { services, conversions }: Recorded,
  resource: Resource,
  subresource: string,
): Endpoint["version"] {
  const { fromStored, convert } = resource.storage;
  const find = (apiVersion: string) => {
    const [version = "", group = ""] = apiVersion.split("/").reverse();
    return services.registry.find(group, version, resource.plural);
  };
  if (resource.schema.name !== undefined)
    return (apiVersion) => {
      const other = find(apiVersion);
      return other && builtinView(resource, other, resetFields(other, subresource));
    };
  if (convert !== undefined && conversions !== undefined)
    return (apiVersion) => {
      const other = find(apiVersion);
      if (other === undefined) return undefined;
      return {
        schema: other.schema,
        convert: (object) => conversions.of(object, apiVersion, convert),
        revert: (object) => conversions.of(object, apiVersionOf(resource), convert),
        resetFields: resetFields(other, subresource),
      };
    };
  if (fromStored === undefined) return undefined;
  return (apiVersion): VersionView | undefined => {
    const other = find(apiVersion);
    if (other?.storage.fromStored === undefined) return undefined;
    return {
      schema: other.schema,
      convert: other.storage.fromStored,
      revert: fromStored,
      resetFields: resetFields(other, subresource),
    };
  };
}

/** Versions of a built-in kind meet in the one that is stored. */
function builtinView(resource: Resource, other: Resource, resetFields: FieldSet): VersionView {
  const between = (from: Resource, to: Resource) => (object: object) => {
    const stored = from.storage.toStored?.(object) ?? object;
    return { ...(to.storage.fromStored?.(stored) ?? stored), apiVersion: apiVersionOf(to) };
  };
  return { schema: other.schema, convert: between(resource, other), revert: between(other, resource), resetFields };
}

/** What a write to an endpoint puts back: nobody gains that there. */
function resetFields(resource: Resource, subresource: string): FieldSet {
  const paths = resource.resetFields?.[subresource] ?? resource.resetFields?.[""] ?? [];
  return paths.reduce((set, path) => union(set, setOfPath(path.split("."))), {});
}

function setOfPath([first, ...rest]: readonly string[]): FieldSet {
  return first === undefined ? {} : { [`f:${first}`]: setOfPath(rest) };
}
