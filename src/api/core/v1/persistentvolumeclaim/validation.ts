/** Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolumeClaim) */
import { compareQuantities, parseQuantity } from "../../../../machinery/meta/quantity.ts";
import { checkOptionalWord, checkText, validateLabelSelector } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MODES: readonly string[] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

export function validateClaim({ spec }: PersistentVolumeClaim): FieldError[] {
  return validateClaimSpec(spec, "spec");
}

export function validateAccessModes(modes: readonly string[] | undefined, path: string, detail = ""): FieldError[] {
  if ((modes ?? []).length === 0) return [required(path, detail)];
  const errors = modes!.filter((mode) => !MODES.includes(mode)).map((mode) => notSupported(path, mode, MODES));
  const known = new Set(modes!.filter((mode) => MODES.includes(mode)));
  if (known.has("ReadWriteOncePod") && known.size > 1)
    errors.push(fieldForbidden(path, "may not use ReadWriteOncePod with other access modes"));
  return errors;
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec | undefined, path: string): FieldError[] {
  if (spec === undefined) return [];
  const errors = validateAccessModes(spec.accessModes, `${path}.accessModes`, "at least 1 access mode is required");
  errors.push(...validateLabelSelector(spec.selector, `${path}.selector`));
  const storage = spec.resources?.requests?.["storage"];
  if (storage === undefined) errors.push(required(`${path}.resources[storage]`));
  else if ((parseQuantity(storage)?.nano ?? 1n) <= 0n)
    errors.push(invalid(`${path}.resources[storage]`, storage, "must be greater than zero"));
  if (spec.storageClassName)
    errors.push(...checkText(spec.storageClassName, `${path}.storageClassName`, isDns1123Subdomain));
  errors.push(...checkOptionalWord(spec.volumeMode, `${path}.volumeMode`, ["Block", "Filesystem"]));
  for (const field of ["dataSource", "dataSourceRef"] as const) {
    const source = spec[field];
    if (source === undefined) continue;
    const at = `${path}.${field}`;
    if (!source.name) errors.push(required(`${at}.name`));
    if (!source.kind) errors.push(required(`${at}.kind`));
    if (!source.apiGroup) {
      if (source.kind !== "PersistentVolumeClaim")
        errors.push(invalid(at, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
    } else errors.push(...checkText(source.apiGroup, `${at}.apiGroup`, isDns1123Subdomain));
  }
  if (spec.dataSourceRef?.namespace)
    errors.push(...checkText(spec.dataSourceRef.namespace, `${path}.dataSourceRef.namespace`, isDns1123Label));
  if (spec.dataSource !== undefined && spec.dataSourceRef !== undefined) {
    const { apiGroup, kind, name } = spec.dataSourceRef;
    if (spec.dataSourceRef.namespace)
      errors.push(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"));
    else if (!semanticEqual(spec.dataSource, { apiGroup, kind, name }))
      errors.push(invalid(path, {}, "must match dataSourceRef"));
  }
  if (spec.volumeAttributesClassName)
    errors.push(...checkText(spec.volumeAttributesClassName, `${path}.volumeAttributesClassName`, isDns1123Subdomain));
  return errors;
}

export function validateClaimUpdate(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const errors = validateClaim(claim);
  const bound = old.status?.phase === "Bound";
  const { spec } = claim;
  const before = old.spec;
  const annotation = old.metadata.annotations?.[CLASS_ANNOTATION];
  const classSet =
    before.storageClassName === undefined && (annotation === undefined || annotation === spec.storageClassName);
  /** The old spec with the changes that are allowed: what still differs isn't. */
  const allowed: PersistentVolumeClaimSpec = {
    ...before,
    ...(!before.volumeName && spec.volumeName !== undefined && { volumeName: spec.volumeName }),
    ...(classSet && spec.storageClassName !== undefined && { storageClassName: spec.storageClassName }),
    ...(bound && {
      resources: {
        ...before.resources,
        requests: { ...before.resources?.requests, storage: spec.resources?.requests?.["storage"] ?? "" },
      },
      ...(spec.volumeAttributesClassName !== undefined && {
        volumeAttributesClassName: spec.volumeAttributesClassName,
      }),
    }),
  };
  if (!semanticEqual(spec, allowed))
    errors.push(
      fieldForbidden(
        "spec",
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
      ),
    );
  const [now, then, capacity] = [
    spec.resources?.requests?.["storage"],
    before.resources?.requests?.["storage"],
    old.status?.capacity?.["storage"],
  ].map((text) => (text === undefined ? undefined : parseQuantity(text)));
  if (now !== undefined && then !== undefined && compareQuantities(now, then) < 0)
    if (capacity !== undefined && compareQuantities(now, capacity) <= 0)
      errors.push(fieldForbidden("spec.resources.requests.storage", "field can not be less than status.capacity"));
  if (old.status?.currentVolumeAttributesClassName !== undefined) {
    const detail = "is forbidden when status.currentVolumeAttributesClassName is not nil";
    if (spec.volumeAttributesClassName === undefined)
      errors.push(fieldForbidden("spec.volumeAttributesClassName", `update to nil ${detail}`));
    else if (spec.volumeAttributesClassName === "")
      errors.push(fieldForbidden("spec.volumeAttributesClassName", `update to empty string ${detail}`));
  }
  return [...errors, ...immutableField(spec.volumeMode, before.volumeMode, "volumeMode")];
}

export function validateClaimStatusUpdate(claim: PersistentVolumeClaim): FieldError[] {
  return (claim.spec.accessModes ?? []).length === 0 ? [required("Spec.accessModes")] : [];
}
