/**
 * Turns a version of a custom kind into a resource like any other, so that nothing else has to know the difference.
 * Upstream: apiextensions-apiserver/pkg/registry/customresource.
 */
import { humanDuration, nameColumn, ageColumn } from "../../api/columns.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from "../../api/generated/apiextensions.v1.ts";
import { readObject } from "../../machinery/codec/custom.ts";
import { Fields } from "../../machinery/schema/fields.ts";
import type { Schema } from "../../machinery/schema/schema.ts";
import { parseTimestamp } from "../../machinery/cel/libraries/time.ts";
import { compareVersions } from "../../machinery/discovery/groups.ts";
import { sameJson } from "../../machinery/cel/rules/values.ts";
import type { Behaviour, Column, Resource, Subresource } from "../../machinery/resource.ts";
import { type FieldError, invalid } from "../../machinery/validation/field-error.ts";
import { isQualifiedName, nameIsPathSegment, nameIsSubdomain } from "../../machinery/validation/names.ts";
import { validateObjectMeta, validateObjectMetaUpdate } from "../../machinery/validation/object-meta.ts";
import { compileJsonPath, printed } from "./json-path.ts";
import { structureOf } from "./structure.ts";
import { Checks } from "./checks.ts";

const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"] as const;
const VIEW_VERBS = ["get", "patch", "update"];

export function customResource(
  { spec, status }: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  convert?: Resource["storage"]["convert"],
): Resource {
  const names = status.acceptedNames?.kind ? status.acceptedNames : spec.names;
  const { group } = spec;
  const scope = spec.scope as "Namespaced" | "Cluster";
  const stored = spec.versions.find(({ storage }) => storage === true)!.name;
  const hasStatus = version.subresources?.status !== undefined;
  const scale = version.subresources?.scale;
  const subresources: Record<string, Subresource> = {};
  const checks = new Checks(group, names.kind, version);
  const isOne = (object: any) => checkKind(object, `${group}/${version.name}`, names.kind);
  const schema = structureOf(version.schema?.openAPIV3Schema);
  const behaviour = behaviourOf(scope, checks, hasStatus, isOne);
  if (hasStatus) behaviour.readBack = statusDefaults(schema);
  if (hasStatus)
    subresources["status"] = { verbs: VIEW_VERBS, behaviour: statusBehaviour(checks, scope === "Namespaced", isOne) };
  if (scale !== undefined)
    subresources["scale"] = { verbs: VIEW_VERBS, kind: { group: "autoscaling", version: "v1", kind: "Scale" } };
  return {
    group,
    version: version.name,
    kind: names.kind,
    plural: spec.names.plural,
    scope,
    listKind: names.listKind ?? `${names.kind}List`,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    verbs: VERBS,
    ...((status.conditions ?? []).some((one) => one.type === "Terminating" && one.status === "True") && {
      isLeaving: true,
    }),
    schema,
    behaviour,
    columns: columnsOf(version),
    selectableFields: Object.fromEntries(
      (version.selectableFields ?? []).map(({ jsonPath }) => {
        const path = compileJsonPath(jsonPath);
        return [jsonPath.replace(/^\./, ""), (object: unknown) => String(path?.(object)?.[0] ?? "")];
      }),
    ),
    subresources,
    ...(hasStatus && { resetFields: { "": ["status"], status: ["metadata", "spec"] } }),
    ...(scale !== undefined && {
      scale: {
        specReplicas: scale.specReplicasPath.replace(/^\./, ""),
        statusReplicas: scale.statusReplicasPath.replace(/^\./, ""),
        ...(scale.labelSelectorPath !== undefined && { selector: scale.labelSelectorPath.replace(/^\./, "") }),
      },
    }),
    createOnUpdate: false,
    unconditionalUpdate: false,
    storage: {
      prefix: `${group}/${spec.names.plural}`,
      group,
      version: stored,
      ...(convert !== undefined
        ? { convert }
        : spec.versions.length > 1 &&
          rewriting(
            group,
            version,
            spec.versions.find(({ storage }) => storage)!,
          )),
    },
    validateName: nameIsSubdomain,
    ...(version.deprecated === true && {
      deprecated: { warning: version.deprecationWarning ?? deprecation(spec, version.name) },
    }),
    servedByDefault: true,
  };
}

/** Names the newest version that isn't deprecated, if there is a newer one. */
function deprecation({ group, names, versions }: CustomResourceDefinition["spec"], version: string): string {
  const newer = versions
    .filter(({ name, served, deprecated }) => served && deprecated !== true && compareVersions(version, name) > 0)
    .map(({ name }) => name)
    .sort(compareVersions);
  const words = `${group}/${version} ${names.kind} is deprecated`;
  return newer.length === 0 ? words : `${words}; use ${group}/${newer[0]} ${names.kind}`;
}

/** Without conversion an object is the same in every version, but for what the other version doesn't know. */
function rewriting(
  group: string,
  served: CustomResourceDefinitionVersion,
  stored: CustomResourceDefinitionVersion,
): Pick<Resource["storage"], "toStored" | "fromStored"> {
  const to = ({ name, schema }: CustomResourceDefinitionVersion) => {
    const apiVersion = `${group}/${name}`;
    let structure: Schema | undefined;
    return (object: any) => {
      if (object.apiVersion === apiVersion) return object;
      structure ??= structureOf(schema?.openAPIV3Schema, { defaults: false });
      return readObject({ ...object, apiVersion }, structure, true);
    };
  };
  return { toStored: to(stored), fromStored: to(served) };
}

/** The status that a create drops is there again, as far as it has defaults, for all who read the object. */
function statusDefaults({ properties }: Schema): (draft: any) => void {
  const status = properties?.get("status");
  if (status?.default === undefined) return () => undefined;
  const only: Schema = { type: "object", properties: new Fields([["status", status]]) };
  return (draft) => {
    draft.status ??= readObject({}, only, true).status;
  };
}

type IsOne = (object: any) => FieldError[];

/** What isn't of the kind isn't looked at any further. */
function checkKind({ apiVersion, kind }: any, version: string, wanted: string): FieldError[] {
  return [
    ...(kind === wanted ? [] : [invalid("kind", kind, `must be ${wanted}`)]),
    ...(apiVersion === version ? [] : [invalid("apiVersion", apiVersion, `must be ${version}`)]),
  ];
}

function behaviourOf(
  scope: "Namespaced" | "Cluster",
  checks: Checks,
  hasStatus: boolean,
  isOne: IsOne,
): Behaviour<any> {
  const namespaced = scope === "Namespaced";
  return {
    prepareForCreate(draft) {
      if (hasStatus) delete draft.status;
      draft.metadata.generation = 1;
    },
    prepareForUpdate(draft, old) {
      if (hasStatus) keep(draft, old, "status");
      const before = old.metadata.generation ?? 0;
      draft.metadata.generation = before + (sameWish(draft, old) ? 0 : 1);
    },
    validate(object) {
      const errors = isOne(object);
      if (errors.length > 0) return errors;
      return [...validateObjectMeta(object.metadata, namespaced, nameIsSubdomain), ...checks.create(object)];
    },
    validateUpdate(object, old, { warn }) {
      const errors = isOne(object);
      if (errors.length > 0) return [...commonMetadata(object, old, namespaced), ...errors];
      return [...updatedMetadata(object, old, namespaced), ...checks.update(object, old, warn)];
    },
    warnings: (object, old) => finalizerWarnings(object.metadata.finalizers, old?.metadata.finalizers),
  };
}

/** What every update is asked is asked of custom objects twice. */
function updatedMetadata(object: any, old: any, namespaced: boolean): FieldError[] {
  return [...commonMetadata(object, old, namespaced), ...validateObjectMetaUpdate(object.metadata, old.metadata)];
}

/** What the store asks of all kinds. */
function commonMetadata(object: any, old: any, namespaced: boolean): FieldError[] {
  return [
    ...validateObjectMeta(object.metadata, namespaced, nameIsPathSegment),
    ...validateObjectMetaUpdate(object.metadata, old.metadata),
  ];
}

const STANDARD_FINALIZERS = ["orphan", "foregroundDeletion", "kubernetes"];

/** Finalizers that are new and named badly. */
function finalizerWarnings(finalizers: readonly string[] = [], before: readonly string[] = []): readonly string[] {
  const added = [...new Set(finalizers)].filter((name) => !before.includes(name)).sort();
  return added.flatMap((name) => {
    const say = (words: string) => `metadata.finalizers: ${JSON.stringify(name)}: ${words}`;
    const warnings = isQualifiedName(name).map(say);
    if (name.includes("/") || STANDARD_FINALIZERS.includes(name)) return warnings;
    const how = name.includes(".") ? "finalizer name including a path (/)" : "finalizer name";
    return [
      ...warnings,
      say(`prefer a domain-qualified ${how} to avoid accidental conflicts with other finalizer writers`),
    ];
  });
}

/** A generation counts all but the metadata; a status that has its own endpoint is the same by now. */
function sameWish(object: any, old: any): boolean {
  const { metadata: _, ...now } = object;
  const { metadata: __, ...before } = old;
  return sameJson(now, before);
}

function statusBehaviour(checks: Checks, namespaced: boolean, isOne: IsOne): Behaviour<any> {
  return {
    prepareForUpdate(draft, old) {
      for (const field of Object.keys({ ...draft, ...old }))
        if (field !== "status" && field !== "metadata") keep(draft, old, field);
      const { managedFields } = draft.metadata;
      draft.metadata = { ...old.metadata, ...(managedFields !== undefined && { managedFields }) };
    },
    validateUpdate(object, old, { warn }) {
      const errors = isOne(object);
      if (errors.length > 0) return [...commonMetadata(object, old, namespaced), ...errors];
      return [...updatedMetadata(object, old, namespaced), ...checks.status(object, old, warn)];
    },
  };
}

function keep(draft: any, old: any, field: string): void {
  if (old[field] === undefined) delete draft[field];
  else draft[field] = old[field];
}

/** A column whose path is none ends the table: those before it stay. */
function columnsOf({ additionalPrinterColumns = [] }: CustomResourceDefinitionVersion): readonly Column<any>[] {
  if (additionalPrinterColumns.length === 0) return [nameColumn, { ...ageColumn, type: "date" }];
  const columns: Column<any>[] = [nameColumn];
  for (const column of additionalPrinterColumns) {
    const path = compileJsonPath(column.jsonPath);
    if (path === undefined) break;
    columns.push({
      name: column.name,
      type: column.type as Column<any>["type"],
      ...(column.format !== undefined && { format: column.format }),
      description: column.description || `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
      priority: column.priority ?? 0,
      cell: (object, now) => cell(column.type, path(object) ?? [], now),
    });
  }
  return columns;
}

/** Of several values the first counts. */
function cell(type: string, values: readonly unknown[], now: number): string | number | boolean | null {
  if (values.length === 0) return null;
  const [value] = values;
  switch (type) {
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value === "string" ? age(value, now) : null;
    default:
      return printed(value);
  }
}

function age(value: string, now: number): string {
  if (value === "" || value === "null") return "<unknown>";
  const time = parseTimestamp(value);
  return time === undefined ? "<invalid>" : humanDuration(now - Number(time / 1_000_000n));
}
