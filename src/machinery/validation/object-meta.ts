/** The validation of metadata, which is the same for every kind. Upstream: staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go */
import { isDeepStrictEqual } from "node:util";
import type { ObjectMeta, OwnerReference } from "../meta/types.ts";
import { byPointer, type FieldError, fieldForbidden, invalid, required, tooLong } from "./field-error.ts";
import { isDns1123Label, isLabelValue, isQualifiedName, type NameRule } from "./names.ts";

const MAX_ANNOTATION_BYTES = 256 * 1024;
const STANDARD_FINALIZERS: readonly string[] = ["kubernetes", "orphan", "foregroundDeletion"];

/**
 * What a create must satisfy. `path` is `metadata`.
 *
 * Upstream has two of these and two for updates: a generic one, and that of its own kinds, which also knows the finalizers that need no domain.
 */
export function validateObjectMeta(
  meta: Partial<ObjectMeta>,
  namespaced: boolean,
  nameRule: NameRule,
  path = "metadata",
): FieldError[] {
  const errors: FieldError[] = [];
  if (meta.generateName !== undefined && meta.generateName !== "")
    for (const message of nameRule(meta.generateName, true))
      errors.push(invalid(`${path}.generateName`, meta.generateName, message));
  if (meta.name === undefined || meta.name === "") {
    errors.push(required(`${path}.name`, "name or generateName is required"));
  } else {
    for (const message of nameRule(meta.name, false)) errors.push(invalid(`${path}.name`, meta.name, message));
  }
  if (namespaced) {
    if (meta.namespace === undefined || meta.namespace === "") errors.push(required(`${path}.namespace`));
    else
      for (const message of isDns1123Label(meta.namespace))
        errors.push(invalid(`${path}.namespace`, meta.namespace, message));
  } else if (meta.namespace !== undefined && meta.namespace !== "") {
    errors.push(fieldForbidden(`${path}.namespace`, "not allowed on this type"));
  }
  if ((meta.generation ?? 0) < 0)
    errors.push(invalid(`${path}.generation`, meta.generation, "must be greater than or equal to 0"));
  errors.push(...validateLabels(meta.labels, `${path}.labels`));
  errors.push(...validateAnnotations(meta.annotations, `${path}.annotations`));
  errors.push(...validateOwnerReferences(meta.ownerReferences ?? [], `${path}.ownerReferences`));
  errors.push(...validateFinalizers(meta.finalizers ?? [], `${path}.finalizers`));
  errors.push(...validateManagedFields(meta, `${path}.managedFields`));
  return errors;
}

/** What an update must satisfy on top: identity stays, and an object on its way out gets no new finalizers. */
export function validateObjectMetaUpdate(
  meta: Partial<ObjectMeta>,
  old: Partial<ObjectMeta>,
  path = "metadata",
): FieldError[] {
  const errors: FieldError[] = [];
  if (old.deletionTimestamp !== undefined) {
    const added = (meta.finalizers ?? []).filter((finalizer) => !(old.finalizers ?? []).includes(finalizer)).sort();
    if (added.length > 0)
      errors.push(
        fieldForbidden(
          `${path}.finalizers`,
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((text) => JSON.stringify(text)).join(", ")}}`,
        ),
      );
  }
  if (meta.resourceVersion === undefined || meta.resourceVersion === "")
    errors.push(invalid(`${path}.resourceVersion`, "", "must be specified for an update"));
  if ((meta.generation ?? 0) < (old.generation ?? 0))
    errors.push(invalid(`${path}.generation`, meta.generation ?? 0, "must not be decremented"));
  for (const field of ["name", "namespace"] as const)
    errors.push(...immutableField(meta[field] ?? "", old[field] ?? "", `${path}.${field}`));
  const uid = meta.uid ?? "";
  if (uid !== (old.uid ?? "")) errors.push(invalid(`${path}.uid`, byPointer(uid), "field is immutable"));
  for (const field of ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] as const)
    errors.push(...immutableField(meta[field], old[field], `${path}.${field}`));
  errors.push(...validateLabels(meta.labels, `${path}.labels`));
  errors.push(...validateAnnotations(meta.annotations, `${path}.annotations`));
  errors.push(...validateOwnerReferences(meta.ownerReferences ?? [], `${path}.ownerReferences`));
  errors.push(...validateManagedFields(meta, `${path}.managedFields`));
  return errors;
}

/** As `validateObjectMeta`, for upstream's own kinds. */
export function validateKubeObjectMeta(
  meta: Partial<ObjectMeta>,
  namespaced: boolean,
  nameRule: NameRule,
): FieldError[] {
  return [...validateObjectMeta(meta, namespaced, nameRule), ...validateKubeFinalizers(meta)];
}

/** As `validateObjectMetaUpdate`, for upstream's own kinds. */
export function validateKubeObjectMetaUpdate(meta: Partial<ObjectMeta>, old: Partial<ObjectMeta>): FieldError[] {
  return [...validateObjectMetaUpdate(meta, old), ...validateKubeFinalizers(meta)];
}

function validateKubeFinalizers({ finalizers = [] }: Partial<ObjectMeta>): FieldError[] {
  return finalizers.flatMap((finalizer, i) => checkStandardFinalizer(finalizer, `metadata.finalizers[${i}]`));
}

/** A field that may never change once it is there. */
export function immutableField(value: unknown, old: unknown, path: string): FieldError[] {
  if (isDeepStrictEqual(value, old)) return [];
  return [invalid(path, value ?? null, "field is immutable")];
}

export function validateLabels(labels: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of sortedEntries(labels)) {
    for (const message of isQualifiedName(key)) errors.push(invalid(path, key, message));
    for (const message of isLabelValue(value)) errors.push(invalid(path, value, message));
  }
  return errors;
}

export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const [key, value] of sortedEntries(annotations)) {
    for (const message of isQualifiedName(key.toLowerCase())) errors.push(invalid(path, key, message));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > MAX_ANNOTATION_BYTES) errors.push(tooLong(path, MAX_ANNOTATION_BYTES));
  return errors;
}

function validateOwnerReferences(references: readonly OwnerReference[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const reference of references) {
    errors.push(...validateOwnerReference(reference, path));
    if (reference.controller !== true) continue;
    if (controller !== undefined)
      errors.push(
        invalid(
          path,
          references,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller.kind}/${controller.name} and ${reference.kind}/${reference.name}`,
        ),
      );
    else controller = reference;
  }
  return errors;
}

function validateOwnerReference(reference: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const apiVersion = reference.apiVersion ?? "";
  // More than one slash leaves nothing that could be the version.
  const version = apiVersion.split("/").length > 2 ? "" : apiVersion.split("/").at(-1)!;
  if (version === "") errors.push(invalid(`${path}.apiVersion`, apiVersion, "version must not be empty"));
  for (const field of ["kind", "name", "uid"] as const)
    if ((reference[field] ?? "") === "")
      errors.push(invalid(`${path}.${field}`, reference[field] ?? "", "must not be empty"));
  if (apiVersion === "v1" && reference.kind === "Event")
    errors.push(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"));
  return errors;
}

function validateFinalizers(finalizers: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const finalizer of finalizers)
    for (const message of isQualifiedName(finalizer)) errors.push(invalid(path, finalizer, message));
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion"))
    errors.push(invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"));
  return errors;
}

/** The stricter rule of the core group: a finalizer is a standard one or has a domain. */
export function validateFinalizerNames(finalizers: readonly string[] | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, finalizer] of (finalizers ?? []).entries()) {
    for (const message of isQualifiedName(finalizer)) errors.push(invalid(`${path}[${i}]`, finalizer, message));
    errors.push(...checkStandardFinalizer(finalizer, `${path}[${i}]`));
  }
  return errors;
}

function checkStandardFinalizer(finalizer: string, path: string): FieldError[] {
  if (finalizer.includes("/") || STANDARD_FINALIZERS.includes(finalizer)) return [];
  return [invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")];
}

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** The name under which a client owns fields. */
export function validateFieldManager(manager: string, path: string): FieldError[] {
  const errors = Buffer.byteLength(manager) > 128 ? [tooLong(path, 128)] : [];
  let at = 0;
  for (const character of manager) {
    if (!PRINTABLE.test(character)) {
      const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      errors.push(invalid(path, manager, `invalid character U+${code} (at position ${at})`));
    }
    at += Buffer.byteLength(character);
  }
  return errors;
}

function validateManagedFields(meta: Partial<ObjectMeta>, path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, entry] of (meta.managedFields ?? []).entries()) {
    const at = `${path}[${i}]`;
    if (entry.operation !== "Apply" && entry.operation !== "Update")
      errors.push(invalid(`${at}.operation`, entry.operation ?? "", "must be `Apply` or `Update`"));
    if ((entry.fieldsType ?? "") !== "" && entry.fieldsType !== "FieldsV1")
      errors.push(invalid(`${at}.fieldsType`, entry.fieldsType, "must be `FieldsV1`"));
    errors.push(...validateFieldManager(entry.manager ?? "", `${at}.manager`));
    if (Buffer.byteLength(entry.subresource ?? "") > 256) errors.push(tooLong(`${at}.subresource`, 256));
  }
  return errors;
}

/** Maps have no order upstream; ours is by key, so that the same object gives the same message. */
export function sortedEntries<T>(map: Readonly<Record<string, T>> | undefined): readonly (readonly [string, T])[] {
  return Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
