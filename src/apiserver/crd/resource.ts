/**
 * A version of a custom kind as a resource like any other: from here on nothing knows that it isn't built in.
 * Upstream: apiextensions-apiserver/pkg/registry/customresource.
 */
import { humanDuration, nameColumn, ageColumn } from "../../api/columns.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
} from "../../api/generated/apiextensions.v1.ts";
import type { Behaviour, Column, Resource, Subresource } from "../../machinery/resource.ts";
import { nameIsSubdomain } from "../../machinery/validation/names.ts";
import { validateObjectMeta, validateObjectMetaUpdate } from "../../machinery/validation/object-meta.ts";
import { compileJsonPath } from "./json-path.ts";
import { structureOf } from "./structure.ts";
import type { Patterns } from "./validation.ts";
import { validateAgainst } from "./validation.ts";

const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"] as const;
const VIEW_VERBS = ["get", "patch", "update"];

export function customResource(
  { spec, status }: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
): Resource {
  const names = status.acceptedNames?.kind ? status.acceptedNames : spec.names;
  const { group } = spec;
  const scope = spec.scope as "Namespaced" | "Cluster";
  const stored = spec.versions.find(({ storage }) => storage === true)!.name;
  const hasStatus = version.subresources?.status !== undefined;
  const scale = version.subresources?.scale;
  const subresources: Record<string, Subresource> = {};
  const behaviour = behaviourOf(scope, version, hasStatus);
  if (hasStatus) subresources["status"] = { verbs: VIEW_VERBS, behaviour: statusBehaviour(version) };
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
    schema: structureOf(version.schema?.openAPIV3Schema),
    behaviour,
    columns: columnsOf(version),
    selectableFields: Object.fromEntries(
      (version.selectableFields ?? []).map(({ jsonPath }) => {
        const path = compileJsonPath(jsonPath);
        return [jsonPath.replace(/^\./, ""), (object: unknown) => String(path(object)[0] ?? "")];
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
    storage: { prefix: `${group}/${spec.names.plural}`, group, version: stored },
    validateName: nameIsSubdomain,
    ...(version.deprecated === true && {
      deprecated: { warning: version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated` },
    }),
    servedByDefault: true,
  };
}

function behaviourOf(
  scope: "Namespaced" | "Cluster",
  version: CustomResourceDefinitionVersion,
  hasStatus: boolean,
): Behaviour<any> {
  const namespaced = scope === "Namespaced";
  const check = validator(version);
  return {
    prepareForCreate(draft) {
      if (hasStatus) delete draft.status;
      draft.metadata.generation = 1;
    },
    prepareForUpdate(draft, old) {
      if (hasStatus) keep(draft, old, "status");
      draft.metadata.generation =
        (old.metadata.generation ?? 0) + (wanted(draft, hasStatus) === wanted(old, hasStatus) ? 0 : 1);
    },
    validate: (object) => [...validateObjectMeta(object.metadata, namespaced, nameIsSubdomain), ...check(object)],
    validateUpdate: (object, old) => [
      ...validateObjectMeta(object.metadata, namespaced, () => []),
      ...validateObjectMetaUpdate(object.metadata, old.metadata),
      ...ratcheted(check(object), check(old), object, old),
    ],
  };
}

/** What was wrong before and isn't touched may stay so. */
function ratcheted(now: ReturnType<Check>, before: ReturnType<Check>, object: any, old: any): ReturnType<Check> {
  if (now.length === 0 || before.length === 0) return now;
  const known = new Set(before.map(({ field, message }) => `${field}: ${message}`));
  return now.filter(
    ({ field, message }) =>
      !known.has(`${field}: ${message}`) || JSON.stringify(at(object, field)) !== JSON.stringify(at(old, field)),
  );
}

function at(object: any, field: string): unknown {
  return field
    .split(/[.[\]]+/)
    .filter((key) => key !== "")
    .reduce((inner, key) => inner?.[key], object);
}

/** All that a generation counts: not the metadata, and not a status that has its own endpoint. */
function wanted(object: any, hasStatus: boolean): string {
  const { metadata: _, status, ...rest } = object;
  return JSON.stringify(hasStatus ? rest : { ...rest, status });
}

function statusBehaviour(version: CustomResourceDefinitionVersion): Behaviour<any> {
  const check = validator(version);
  return {
    prepareForUpdate(draft, old) {
      for (const field of Object.keys({ ...draft, ...old }))
        if (field !== "status" && field !== "metadata") keep(draft, old, field);
      const { managedFields } = draft.metadata;
      draft.metadata = { ...old.metadata, ...(managedFields !== undefined && { managedFields }) };
    },
    validateUpdate: (object, old) => [
      ...validateObjectMetaUpdate(object.metadata, old.metadata),
      ...ratcheted(check(object), check(old), object, old),
    ],
  };
}

type Check = (object: any) => ReturnType<typeof validateAgainst>;

function validator(version: CustomResourceDefinitionVersion): Check {
  const props = version.schema?.openAPIV3Schema;
  const patterns: Patterns = new Map();
  return (object) => (props === undefined ? [] : validateAgainst(props, object, patterns));
}

function keep(draft: any, old: any, field: string): void {
  if (old[field] === undefined) delete draft[field];
  else draft[field] = old[field];
}

function columnsOf({ additionalPrinterColumns }: CustomResourceDefinitionVersion): readonly Column<any>[] {
  if (additionalPrinterColumns === undefined || additionalPrinterColumns.length === 0) return [nameColumn, ageColumn];
  return [
    nameColumn,
    ...additionalPrinterColumns.map((column): Column<any> => {
      const path = compileJsonPath(column.jsonPath);
      return {
        name: column.name,
        type: column.type as Column<any>["type"],
        ...(column.format !== undefined && { format: column.format }),
        description: column.description ?? `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
        priority: column.priority ?? 0,
        cell: (object, now) => cell(column.type, path(object), now),
      };
    }),
  ];
}

function cell(type: string, values: readonly unknown[], now: number): string | number | boolean | null {
  const [value] = values;
  if (value === undefined || value === null) return null;
  switch (type) {
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date": {
      const time = Date.parse(String(value));
      return Number.isNaN(time) ? "<invalid>" : humanDuration(now - time);
    }
    default:
      return values.map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one))).join(",");
  }
}
