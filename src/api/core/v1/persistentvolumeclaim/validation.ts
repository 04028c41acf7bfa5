/** Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolumeClaim) */
import { compareQuantities, parseQuantity, wholeUnits } from "../../../../machinery/meta/quantity.ts";
import { checkOptionalWord, checkText, validateLabelSelector } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from "../../../../machinery/validation/names.ts";
import { immutableField, sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../../generated/core.v1.ts";
import { internalDiff } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MODES: readonly string[] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const NO_ACCESS_MODE = "at least 1 access mode is required";
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

interface Leniency {
  readonly allowInvalidLabelValues?: boolean;
  readonly allowInvalidApiGroup?: boolean;
}

/** What is not held against a claim, since it was like that before. */
function leniencyFor({ spec }: PersistentVolumeClaim): Leniency {
  return {
    allowInvalidLabelValues: validateLabelSelector(spec?.selector, "").length > 0,
    allowInvalidApiGroup: spec?.dataSource?.apiGroup !== undefined || spec?.dataSourceRef?.apiGroup !== undefined,
  };
}

export function validateClaimSpec(
  spec: PersistentVolumeClaimSpec | undefined,
  path: string,
  { allowInvalidLabelValues = false, allowInvalidApiGroup = false }: Leniency = {},
): FieldError[] {
  if (spec === undefined)
    return [required(`${path}.accessModes`, NO_ACCESS_MODE), required(`${path}.resources[storage]`)];
  const errors: FieldError[] = [];
  const noModes = (spec.accessModes ?? []).length === 0;
  if (noModes) errors.push(required(`${path}.accessModes`, NO_ACCESS_MODE));
  errors.push(
    ...validateLabelSelector(spec.selector, `${path}.selector`, { allowInvalidValues: allowInvalidLabelValues }),
  );
  if (!noModes) errors.push(...validateAccessModes(spec.accessModes, `${path}.accessModes`));
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
    } else if (!allowInvalidApiGroup) errors.push(...checkText(source.apiGroup, `${at}.apiGroup`, isDns1123Subdomain));
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
  const errors = validateClaimSpec(claim.spec, "spec", leniencyFor(old));
  const { spec = {} as PersistentVolumeClaimSpec } = claim;
  const { spec: before = {} as PersistentVolumeClaimSpec } = old;
  const [annotation, annotationBefore] = [claim, old].map(({ metadata }) => metadata.annotations?.[CLASS_ANNOTATION]);
  const bound = claim.status?.phase === "Bound";
  const classSet = before.storageClassName === undefined && spec.storageClassName !== undefined;
  /** The class moves from the annotation, where it used to be, to the spec. */
  const moved =
    classSet &&
    spec.storageClassName === annotationBefore &&
    (annotation === undefined || annotation === annotationBefore);
  if (!moved && annotation !== annotationBefore)
    errors.push(invalid(`metadata.annotations.${CLASS_ANNOTATION}`, annotation ?? "", "field is immutable"));
  const mayName = moved || (classSet && (annotationBefore === undefined || annotationBefore === spec.storageClassName));
  /** The spec without the changes that are allowed: what still differs isn't. */
  const compared = without({
    ...spec,
    volumeName: before.volumeName || spec.volumeName === undefined ? spec.volumeName : undefined,
    storageClassName: mayName ? undefined : spec.storageClassName,
    resources:
      bound && spec.resources?.requests !== undefined
        ? {
            ...spec.resources,
            requests: { ...spec.resources.requests, storage: before.resources?.requests?.["storage"] ?? "0" },
          }
        : spec.resources,
    volumeAttributesClassName: bound ? before.volumeAttributesClassName : spec.volumeAttributesClassName,
  });
  const still = without({ ...before, volumeName: before.volumeName || undefined });
  if (!semanticEqual(compared, still)) {
    const name = before.volumeName ? undefined : spec.volumeName;
    const shown =
      name === undefined ? [still, compared] : [still, compared].map((one) => ({ volumeName: name, ...one }));
    errors.push(
      fieldForbidden(
        "spec",
        `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n${internalDiff(shown[0], shown[1], "io.k8s.api.core.v1.PersistentVolumeClaimSpec")}`,
      ),
    );
  }
  errors.push(...validateNewSize(claim, old), ...immutableField(spec.volumeMode, before.volumeMode, "volumeMode"));
  if (
    old.status?.currentVolumeAttributesClassName !== undefined &&
    spec.volumeAttributesClassName !== before.volumeAttributesClassName
  ) {
    const detail = "is forbidden when status.currentVolumeAttributesClassName is not nil";
    if (spec.volumeAttributesClassName === undefined)
      errors.push(fieldForbidden("spec.volumeAttributesClassName", `update to nil ${detail}`));
    else if (spec.volumeAttributesClassName === "")
      errors.push(fieldForbidden("spec.volumeAttributesClassName", `update to empty string ${detail}`));
  }
  return errors;
}

const without = (spec: { readonly [K in keyof PersistentVolumeClaimSpec]?: unknown }) =>
  Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));

/** Who asked for too much may ask for less, as long as it is more than there is. */
function validateNewSize({ spec }: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const size = (amounts: Readonly<Record<string, string>> | undefined) =>
    parseQuantity(amounts?.["storage"] ?? "0") ?? parseQuantity("0")!;
  const now = size(spec?.resources?.requests);
  if (compareQuantities(now, size(old.spec?.resources?.requests)) >= 0) return [];
  if (compareQuantities(now, size(old.status?.capacity)) > 0) return [];
  return [fieldForbidden("spec.resources.requests.storage", "field can not be less than status.capacity")];
}

const RESIZE_STATES = [
  "ControllerResizeInProgress",
  "ControllerResizeInfeasible",
  "NodeResizeInProgress",
  "NodeResizeInfeasible",
  "NodeResizePending",
];

export function validateClaimStatusUpdate({ metadata, spec, status }: PersistentVolumeClaim): FieldError[] {
  const errors: FieldError[] = [];
  if (!metadata.resourceVersion) errors.push(required("resourceVersion"));
  if ((spec?.accessModes ?? []).length === 0) errors.push(required("Spec.accessModes"));
  for (const [name, text] of sortedEntries(status?.capacity))
    errors.push(...validateBasicQuantity(text, `status.capacity[${name}]`));
  for (const [name, state] of sortedEntries(status?.allocatedResourceStatuses)) {
    const path = "status.allocatedResourceStatuses";
    errors.push(...validateResourceKey(name, path));
    if (!RESIZE_STATES.includes(state)) errors.push(notSupported(path, name, RESIZE_STATES));
  }
  for (const [name, text] of sortedEntries(status?.allocatedResources)) {
    const path = "status.allocatedResources";
    const problems = validateResourceKey(name, path);
    errors.push(...(problems.length > 0 ? problems : validateBasicQuantity(text, `${path}[${name}]`)));
  }
  return errors;
}

function validateResourceKey(name: string, path: string): FieldError[] {
  const errors = checkText(name, path, isQualifiedName);
  if (errors.length > 0 || name === "storage" || !isNativeResource(name)) return errors;
  return [notSupported(path, name, ["storage"])];
}

const isNativeResource = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");

/** Negative amounts, whatever they are an amount of. */
export function validateBasicQuantity(text: string, path: string): FieldError[] {
  const quantity = parseQuantity(text);
  const units = quantity === undefined ? 0n : wholeUnits(quantity);
  return units < 0n ? [invalid(path, Number(units), "must be a valid resource quantity")] : [];
}
