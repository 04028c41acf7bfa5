/** Who set which field: kept at every write, so that a later apply knows what it may change. */
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import { apply } from "../../machinery/patch/apply/apply.ts";
import { union, type FieldSet } from "../../machinery/patch/apply/field-set.ts";
import { type Endpoint, updateManagedFields, type VersionView } from "../../machinery/patch/apply/update.ts";
import type { WriteContext } from "./context.ts";
import { hookContext } from "./context.ts";

/** The draft with its managed fields after a create (no `old`), a PUT or a patch. */
export function recordUpdate(
  context: WriteContext,
  resource: Resource,
  subresource: string,
  old: any,
  draft: any,
): any {
  return updateManagedFields(old, draft, {
    ...endpoint(context, resource, subresource),
    manager: context.fieldManager,
    time: hookContext(context).now,
  });
}

/** The live object with a configuration applied; `live` itself when nothing changes. */
export function applyConfiguration(
  context: WriteContext,
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
    time: hookContext(context).now,
  });
}

function endpoint(context: WriteContext, resource: Resource, subresource: string): Endpoint {
  const version = otherVersions(context, resource, subresource);
  return {
    ...(version !== undefined && { version }),
    apiVersion: apiVersionOf(resource),
    schema: resource.schema,
    subresource,
    resetFields: resetFields(resource, subresource),
  };
}

/** Versions of a custom kind may differ in what they know, where those of a built-in one don't. */
function otherVersions(
  { services, conversions }: WriteContext,
  resource: Resource,
  subresource: string,
): Endpoint["version"] {
  const { fromStored, convert } = resource.storage;
  if (resource.schema.name !== undefined) return undefined;
  const find = (apiVersion: string) =>
    services.registry.find(resource.group, apiVersion.split("/")[1] ?? "", resource.plural);
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

/** What a write to an endpoint puts back: nobody gains that there. */
function resetFields(resource: Resource, subresource: string): FieldSet {
  const paths = resource.resetFields?.[subresource] ?? resource.resetFields?.[""] ?? [];
  return paths.reduce((set, path) => union(set, setOfPath(path.split("."))), {});
}

function setOfPath([first, ...rest]: readonly string[]): FieldSet {
  return first === undefined ? {} : { [`f:${first}`]: setOfPath(rest) };
}
