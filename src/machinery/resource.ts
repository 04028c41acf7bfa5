/**
 * A resource: everything that the system knows about one kind in one version. Routes, discovery, OpenAPI, codecs, clients and informers are derived
 * from it.
 */
import type { Mutable } from "../base/mutable.ts";
import type { KubeObject } from "./meta/object.ts";
import type { Schema } from "./schema/schema.ts";
import type { FieldError } from "./validation/field-error.ts";

export type Verb = "create" | "delete" | "deletecollection" | "get" | "list" | "patch" | "update" | "watch";

/** What names a resource on the wire. */
export interface ResourceName {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly scope: "Namespaced" | "Cluster";
}

/** A resource as clients see it: its name and, for the compiler, the type of its objects. */
export interface ResourceOf<T extends KubeObject> extends ResourceName {
  readonly __type?: T;
}

/** What a hook may know of the request, besides the objects. */
export interface HookContext {
  /** RFC 3339, whole seconds. */
  readonly now: string;
  readonly user: {
    readonly name: string;
    readonly uid?: string;
    readonly groups: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
  readonly featureGates: ReadonlyMap<string, boolean>;
  /** False where pods may have no privileged containers. */
  readonly allowPrivileged?: boolean;
  uuid(): string;
  /** The labels of a namespace, as far as there is one. */
  namespaceLabels?(namespace: string): Readonly<Record<string, string>> | undefined;
  /** What the writer has no right to say of the object; found out before the kind is asked, and told among its own errors. */
  readonly refused?: readonly FieldError[];
  /** Tells the client something beside the answer. */
  warn?(text: string): void;
}

/**
 * The behaviour that the schema does not say. Order: `defaults` (on every decode, request or storage), then mutating admission, then
 * `prepareForCreate` or `prepareForUpdate`, `validate` or `validateUpdate`, `warnings`, `canonicalize`, and after validating admission `readBack`.
 * `prepareForUpdate` must put back what this endpoint may not change (status on the main resource) and raise `metadata.generation`.
 */
export interface Behaviour<T extends KubeObject> {
  defaults?(draft: Mutable<T>): void;
  prepareForCreate?(draft: Mutable<T>, context: HookContext): void;
  prepareForUpdate?(draft: Mutable<T>, old: T, context: HookContext): void;
  validate?(object: T, context: HookContext): readonly FieldError[];
  validateUpdate?(object: T, old: T, context: HookContext): readonly FieldError[];
  warnings?(object: T, old: T | undefined): readonly string[];
  canonicalize?(draft: Mutable<T>): void;
  /** What `prepareForCreate` dropped and a default brings back when the object is read from storage. */
  readBack?(draft: Mutable<T>): void;
}

export interface RowCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface Column<T> {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly format?: string;
  /** What it is about, or the field whose description says so. */
  readonly description?: string | { readonly type: string; readonly field: string };
  /** Rows have it, and the table's head does not tell. */
  readonly isUntold?: boolean;
  /** 0 always shows; 1 only with `-o wide`. */
  readonly priority: number;
  cell(object: T, now: number): string | number | boolean | null;
}

/** A subresource that has an object of its own or a view of the parent: `status`, `scale`, `binding`, `eviction`, `token`, … */
export interface Subresource {
  readonly verbs: readonly string[];
  /** The kind that travels, where it isn't the parent's. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
  /** For views that read and write the parent as it is (`status`, `ephemeralcontainers`, `resize`, `approval`, `finalize`). */
  readonly behaviour?: Behaviour<any>;
}

/** Where the parts of a Scale are in the parent: paths as in a CRD, without the leading dot. */
export interface ScalePaths {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  readonly selector?: string;
}

export interface Resource<T extends KubeObject = any> extends ResourceOf<T> {
  readonly listKind: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly Verb[];
  /** Its definition goes: discovery no longer says that anything may be made or changed. */
  readonly isLeaving?: boolean;
  readonly schema: Schema;
  readonly behaviour: Behaviour<T>;
  readonly columns: readonly Column<T>[];
  /** Of a table's rows, where it isn't that of the names. */
  readonly rowOrder?: (a: any, b: any) => number;
  /** What a row says of its object beyond the cells. */
  readonly rowConditions?: (object: any) => readonly RowCondition[];
  /** Field selectors beyond `metadata.name` and `metadata.namespace`. */
  readonly selectableFields: Readonly<Record<string, (object: T) => string>>;
  readonly subresources: Readonly<Record<string, Subresource>>;
  readonly scale?: ScalePaths;
  /** What nobody comes to own by a write to a subresource ("" for the object itself): paths of fields that are put back there. */
  readonly resetFields?: Readonly<Record<string, readonly string[]>>;
  /** A PUT (or apply) of an object that is not there creates it. */
  readonly createOnUpdate: boolean;
  /** A PUT without a resourceVersion is taken as unconditional. */
  readonly unconditionalUpdate: boolean;
  /** Seconds a delete without options waits (pods: from the spec); undefined where deletion is at once. */
  gracefulDeletionSeconds?(object: T): number | undefined;
  readonly storage: StorageSpec;
  /** Names with their own rule; the default is a DNS-1123 subdomain. Returns messages. */
  validateName?(name: string, prefix: boolean): readonly string[];
  readonly deprecated?: { readonly warning: string };
  /** False: known, and off until `--runtime-config` or a feature gate says otherwise. */
  readonly servedByDefault: boolean;
}

export interface StorageSpec {
  /** `/registry/` + prefix + `/namespace/name`; upstream's oddities kept (`services/specs`, `minions`). */
  readonly prefix: string;
  /** The group and version that is stored. */
  readonly group: string;
  readonly version: string;
  /** Between this version and the stored one, where they differ in more than `apiVersion`. */
  readonly toStored?: (object: any) => any;
  readonly fromStored?: (object: any) => any;
  /** What an older server has stored in another version, in the version that is stored now. */
  readonly fromOlder?: (object: any) => any;
  /** Converts objects of this kind to a version by asking somebody else, which takes time. In the order given, one for each. */
  readonly convert?: (objects: readonly any[], apiVersion: string) => Promise<readonly any[]>;
  /** Not stored at all: reviews and the like answer a create. */
  readonly virtual?: boolean;
}

/** The identifier that `apiVersion` carries: `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === "" ? version : `${group}/${version}`;
}

/** The URL of a resource, of one object in it, or of an object's subresource. */
export function pathOf(
  resource: ResourceName,
  at: { readonly namespace?: string; readonly name?: string; readonly subresource?: string } = {},
): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scoped =
    resource.scope === "Namespaced" && at.namespace !== undefined && at.namespace !== ""
      ? `${root}/namespaces/${encodeURIComponent(at.namespace)}`
      : root;
  const named =
    at.name === undefined
      ? `${scoped}/${resource.plural}`
      : `${scoped}/${resource.plural}/${encodeURIComponent(at.name)}`;
  return at.subresource === undefined ? named : `${named}/${at.subresource}`;
}
