/**
 * How a built-in kind is declared. Plain facts (where it is served, its verbs, its storage key, whether it has a generation) come from the generated
 * table; a kind's own file adds what takes code; this file combines the two.
 * Upstream: pkg/registry, staging/src/k8s.io/apiserver/pkg/registry/rest
 */
import { assert } from "../base/assert.ts";
import type { Mutable } from "../base/mutable.ts";
import { DecodeError, readTree } from "../machinery/codec/decode.ts";
import type { KubeObject } from "../machinery/meta/object.ts";
import type {
  Behaviour,
  Column,
  RowCondition,
  HookContext,
  Resource,
  ScalePaths,
  StorageSpec,
  Subresource,
  Verb,
} from "../machinery/resource.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import type { FieldError } from "../machinery/validation/field-error.ts";
import { nameIsPathSegment, nameIsSubdomain, type NameRule } from "../machinery/validation/names.ts";
import {
  validateKubeObjectMeta,
  validateKubeObjectMetaUpdate,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from "../machinery/validation/object-meta.ts";
import { describedColumn } from "./column-descriptions.ts";
import { defaultColumns } from "./columns.ts";
import { dropDisabledFields } from "./core/v1/pod/disabled-fields.ts";
import type { PodTemplateSpec } from "./generated/core.v1.ts";
import rows from "./generated/resources.json" with { type: "json" };
import { checksOf } from "./metadata-checks.ts";
import { schemaOf } from "./schemas.ts";
import { semanticEqual } from "./semantic-equal.ts";

type Rule =
  | "clearStatusOnCreate"
  | "generationFromOne"
  | "generationCountsSpec"
  | "keepStatusOnUpdate"
  | "statusKeepsMetadata";

interface Facts {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly scope: "Namespaced" | "Cluster";
  readonly schema: string;
  readonly verbs: readonly Verb[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: Readonly<Record<string, Subresource>>;
  readonly servedByDefault: boolean;
  readonly createOnUpdate: boolean;
  readonly unconditionalUpdate: boolean;
  readonly storage: { readonly prefix: string; readonly group: string; readonly version: string } | null;
  readonly strategy: readonly Rule[];
  readonly resetFields: Readonly<Record<string, readonly string[]>>;
}

/** Versions whose successor is served: the release that said so, by kind. Upstream: zz_generated.prerelease-lifecycle.go */
const DEPRECATED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "admissionregistration.k8s.io/v1alpha1": { MutatingAdmissionPolicy: 35, MutatingAdmissionPolicyBinding: 35 },
  "certificates.k8s.io/v1alpha1": { ClusterTrustBundle: 34 },
  "coordination.k8s.io/v1alpha2": { LeaseCandidate: 35 },
  "coordination.k8s.io/v1beta1": { LeaseCandidate: 36 },
  "networking.k8s.io/v1beta1": { IPAddress: 34, ServiceCIDR: 34 },
  "resource.k8s.io/v1alpha3": { DeviceTaintRule: 36 },
  "resource.k8s.io/v1beta1": { DeviceClass: 35, ResourceClaim: 35, ResourceClaimTemplate: 35, ResourceSlice: 35 },
  "resource.k8s.io/v1beta2": { DeviceClass: 36, ResourceClaim: 36, ResourceClaimTemplate: 36, ResourceSlice: 36 },
};

const facts = rows as unknown as readonly Facts[];

/** What a kind says for itself. All of it is optional: a kind without any of it is stored, defaulted from its schema and checked for its metadata. */
export interface Definition<T extends KubeObject> {
  /** Hooks run after the common part; `validate` returns only what is beyond metadata. */
  readonly behaviour?: Behaviour<T>;
  /** The behaviour of views on the parent: `status` and the like. Their common part keeps everything but what the view is for. */
  readonly views?: Readonly<Record<string, Behaviour<T>>>;
  /** The template that a kind makes pods of. */
  readonly podTemplate?: (object: T) => PodTemplateSpec | undefined;
  readonly columns?: readonly Column<T>[];
  readonly rowOrder?: (a: T, b: T) => number;
  readonly rowConditions?: (object: T) => readonly RowCondition[];
  readonly selectableFields?: Readonly<Record<string, (object: T) => string>>;
  readonly scale?: ScalePaths;
  readonly nameRule?: NameRule;
  /** What a name is generated from need not be as a name is. */
  readonly anyPrefix?: true;
  readonly deprecated?: { readonly warning: string };
  readonly gracefulDeletionSeconds?: (object: T) => number | undefined;
  readonly toStored?: (object: any) => any;
  readonly fromStored?: (object: any) => any;
  readonly fromOlder?: (object: any) => any;
}

interface Named {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export function defineResource<T extends KubeObject>(definition: Named & Definition<T>): Resource<T> {
  const { group, version, kind } = definition;
  const fact = facts.find((row) => row.group === group && row.version === version && row.kind === kind);
  assert(fact !== undefined, `${group}/${version} has no kind ${kind}`);
  const nameRule = definition.nameRule ?? nameIsSubdomain;
  return {
    group,
    version,
    kind,
    plural: fact.plural,
    scope: fact.scope,
    listKind: `${kind}List`,
    singular: fact.singular,
    shortNames: fact.shortNames,
    categories: fact.categories,
    verbs: fact.verbs,
    get schema(): Schema {
      return schemaOf(fact.schema);
    },
    behaviour: mainBehaviour<T>(fact, definition, nameRule),
    columns: (definition.columns ?? defaultColumns).map((column) => ({
      ...column,
      description: column.description ?? describedColumn(kind, column.name) ?? "",
    })),
    ...(definition.rowOrder && { rowOrder: definition.rowOrder }),
    ...(definition.rowConditions && { rowConditions: definition.rowConditions }),
    selectableFields: definition.selectableFields ?? {},
    subresources: subresourcesOf(fact, definition, nameRule),
    ...(definition.scale !== undefined && { scale: definition.scale }),
    resetFields: fact.resetFields,
    createOnUpdate: fact.createOnUpdate,
    unconditionalUpdate: fact.unconditionalUpdate,
    ...(definition.gracefulDeletionSeconds !== undefined && {
      gracefulDeletionSeconds: definition.gracefulDeletionSeconds,
    }),
    storage: storageOf(fact, definition),
    validateName: nameRule,
    ...deprecation(definition),
    servedByDefault: fact.servedByDefault,
  };
}

function deprecation({ group, version, kind, deprecated }: Named & Definition<any>): Pick<Resource, "deprecated"> {
  if (deprecated !== undefined) return { deprecated };
  const minor = DEPRECATED[`${group}/${version}`]?.[kind];
  if (minor === undefined) return {};
  // A version goes three releases after it was said that it will.
  return {
    deprecated: {
      warning: `${group}/${version} ${kind} is deprecated in v1.${minor}+, unavailable in v1.${minor + 3}+`,
    },
  };
}

function storageOf(fact: Facts, { toStored, fromStored, fromOlder }: Definition<any>): StorageSpec {
  if (fact.storage === null) return { prefix: fact.plural, group: fact.group, version: fact.version, virtual: true };
  return {
    ...fact.storage,
    ...(toStored !== undefined && { toStored: (object) => shaped(toStored(object), storedSchema(fact)) }),
    ...(fromStored !== undefined && { fromStored: (object) => shaped(fromStored(object), schemaOf(fact.schema)) }),
    ...(fromOlder !== undefined && { fromOlder }),
  };
}

/** What is stored is of the kind's schema in another version. */
function storedSchema({ storage, kind }: Facts): Schema {
  const { group, version } = storage!;
  return schemaOf(facts.find((row) => row.group === group && row.version === version && row.kind === kind)!.schema);
}

/**
 * A converted object as it would be read from its bytes: with what its version always writes, without what it leaves out when empty. Two that say the
 * same are alike then, whichever way they came. Where annotations hold what is no field of that version, it stays as it is.
 */
function shaped(object: unknown, schema: Schema): unknown {
  try {
    return readTree(object, schema).object;
  } catch (error) {
    if (error instanceof DecodeError) return object;
    throw error;
  }
}

interface Loose extends KubeObject {
  spec?: unknown;
  status?: unknown;
}

function mainBehaviour<T extends KubeObject>(
  fact: Facts,
  { behaviour = {}, podTemplate, anyPrefix }: Definition<T>,
  nameRule: NameRule,
): Behaviour<T> {
  const has = (rule: Rule) => fact.strategy.includes(rule);
  const namespaced = fact.scope === "Namespaced";
  const dropDisabled = (draft: Mutable<T>, old: T | undefined, { featureGates }: HookContext) => {
    const template = podTemplate?.(draft as T) as Mutable<PodTemplateSpec> | undefined;
    dropDisabledFields(template?.spec, old === undefined ? undefined : podTemplate?.(old)?.spec, featureGates);
  };
  return {
    ...behaviour,
    prepareForCreate(draft: Mutable<T>, context: HookContext) {
      const object = draft as unknown as Mutable<Loose>;
      if (has("clearStatusOnCreate")) object.status = emptyStatus(fact.schema);
      if (object.status === undefined) delete object.status;
      if (has("generationFromOne")) object.metadata.generation = 1;
      dropDisabled(draft, undefined, context);
      behaviour.prepareForCreate?.(draft, context);
    },
    prepareForUpdate(draft: Mutable<T>, old: T, context: HookContext) {
      const object = draft as unknown as Mutable<Loose>;
      const before = old as unknown as Loose;
      keep(object.metadata, before.metadata, "generation");
      if (has("keepStatusOnUpdate")) keep(object, before, "status");
      dropDisabled(draft, old, context);
      behaviour.prepareForUpdate?.(draft, old, context);
      if (has("generationCountsSpec") && !semanticEqual(object.spec, before.spec)) nextGeneration(draft, old);
    },
    validate(object: T, context: HookContext): readonly FieldError[] {
      const own = () => behaviour.validate?.(object, context) ?? [];
      if (fact.storage === null) return own();
      const errors = checked(checksOf(fact, "create"), { object, own, namespaced, nameRule, anyPrefix });
      return errors.length > 0 ? errors : validateObjectMeta(object.metadata, namespaced, nameIsPathSegment);
    },
    validateUpdate: updateChecks<T>(
      fact,
      "update",
      nameRule,
      (object, old, context) =>
        behaviour.validateUpdate?.(object, old, context) ?? behaviour.validate?.(object, context),
      anyPrefix,
    ),
  };
}

interface Checked {
  readonly object: KubeObject;
  readonly old?: KubeObject;
  readonly own: () => readonly FieldError[];
  readonly namespaced: boolean;
  readonly nameRule: NameRule;
  readonly anyPrefix?: true | undefined;
}

/** A kind's checks in its order; see `metadata-checks.ts` for the letters. */
function checked(order: string, { object, old, own, namespaced, nameRule, anyPrefix }: Checked): readonly FieldError[] {
  const { metadata } = object;
  const { generateName: _, ...named } = metadata;
  const before = old?.metadata ?? metadata;
  const errors = [...order].flatMap((letter): readonly FieldError[] => {
    switch (letter) {
      case "O":
        return validateObjectMeta(metadata, namespaced, nameRule);
      case "C":
        return validateKubeObjectMeta(anyPrefix === true ? named : metadata, namespaced, nameRule);
      case "U":
        return validateObjectMetaUpdate(metadata, before);
      case "V":
        return validateKubeObjectMetaUpdate(metadata, before);
      default:
        return own();
    }
  });
  if (!ENFORCED.includes(object.kind ?? "")) return errors;
  const said = new Set<string>();
  return errors.filter(({ field, message }) => {
    const text = `${field}: ${message}`;
    const again = field.startsWith("metadata") && said.has(text);
    said.add(text);
    return !again;
  });
}

/** Kinds whose own rules are declared: what is said twice of their metadata is told once. */
const ENFORCED: readonly string[] = ["PodGroup", "ResourcePoolStatusRequest", "Workload"];

/** What every update is asked (a name that an older rule let in stays valid), and then what its kind asks, which may be the same again. */
function updateChecks<T extends KubeObject>(
  fact: Facts,
  view: string,
  nameRule: NameRule,
  check: (object: T, old: T, context: HookContext) => readonly FieldError[] | undefined,
  anyPrefix?: true,
): NonNullable<Behaviour<T>["validateUpdate"]> {
  const namespaced = fact.scope === "Namespaced";
  return (object, old, context) => {
    const own = () => check(object, old, context) ?? [];
    return [
      ...validateObjectMeta(object.metadata, namespaced, nameIsPathSegment),
      ...validateObjectMetaUpdate(object.metadata, old.metadata),
      ...checked(checksOf(fact, view), { object, old, own, namespaced, nameRule, anyPrefix }),
    ];
  };
}

function subresourcesOf<T extends KubeObject>(
  fact: Facts,
  { views = {} }: Definition<T>,
  nameRule: NameRule,
): Readonly<Record<string, Subresource>> {
  const withMetaChecks = (name: string, view: Behaviour<T>): Behaviour<T> => ({
    ...view,
    validateUpdate: updateChecks(fact, name, nameRule, (object, old, context) =>
      view.validateUpdate?.(object, old, context),
    ),
  });
  return Object.fromEntries(
    Object.entries(fact.subresources).map(([name, subresource]) => {
      if (name === "status") {
        const behaviour = withMetaChecks(name, statusBehaviour<T>(fact, views[name] ?? {}));
        return [name, { ...subresource, behaviour }];
      }
      const view = views[name];
      return [name, view === undefined ? subresource : { ...subresource, behaviour: withMetaChecks(name, view) }];
    }),
  );
}

/** What Go writes for a status that nobody has filled: a struct keeps its fields without `omitempty`, a pointer disappears. */
function emptyStatus(schemaName: string): unknown {
  const status = schemaOf(schemaName).properties?.get("status");
  return status === undefined || status.pointer === true ? undefined : zeroOf(status);
}

/** Always a new value: hooks go on to fill it, and the schema is everyone's. */
function zeroOf(schema: Schema): unknown {
  if (schema.type !== "object") return structuredClone(schema.default);
  const zero: Record<string, unknown> = {};
  for (const [name, field] of schema.properties ?? []) if (field.default !== undefined) zero[name] = zeroOf(field);
  return zero;
}

/** The status endpoint writes status alone; the spec, and for the younger kinds the metadata, stay as they are stored. */
function statusBehaviour<T extends KubeObject>(fact: Facts, view: Behaviour<T>): Behaviour<T> {
  return {
    ...view,
    prepareForUpdate(draft: Mutable<T>, old: T, context: HookContext) {
      const object = draft as unknown as Mutable<Loose>;
      const before = old as unknown as Loose;
      keep(object, before, "spec");
      keep(object.metadata, before.metadata, "generation");
      if (fact.strategy.includes("statusKeepsMetadata")) keepMetadata(draft, old);
      view.prepareForUpdate?.(draft, old, context);
    },
  };
}

/** Puts `field` back to what is stored, absence included. */
export function keep<O extends object, K extends keyof O>(
  draft: O,
  old: { readonly [P in K]?: unknown },
  field: K,
): void {
  if (old[field] === undefined) delete draft[field];
  else draft[field] = old[field] as O[K];
}

/** All of metadata that a status write may not touch; managed fields are the field manager's. */
export function keepMetadata(draft: Mutable<KubeObject>, old: KubeObject): void {
  for (const field of [
    "deletionTimestamp",
    "generation",
    "selfLink",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
  ] as const)
    keep(draft.metadata, old.metadata as Mutable<KubeObject["metadata"]>, field);
}

/** A change of what the user wants: controllers report the generation they have seen. */
export function nextGeneration(draft: Mutable<KubeObject>, old: KubeObject): void {
  draft.metadata.generation = (old.metadata.generation ?? 0) + 1;
}
