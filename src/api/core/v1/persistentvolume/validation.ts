/** Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolume) */
import { parseQuantity } from "../../../../machinery/meta/quantity.ts";
import { checkOptionalWord, checkText } from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { immutableField } from "../../../../machinery/validation/object-meta.ts";
import type { PersistentVolume, PersistentVolumeSpec } from "../../../generated/core.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateAccessModes } from "../persistentvolumeclaim/validation.ts";
import { isPathWithoutBacksteps, validateHostPath, validateNfs } from "../pod/validation/volumes.ts";
import { validateNodeSelector } from "../pod/validation/scheduling.ts";

/** In the order in which they are looked at. */
const SOURCES = [
  "hostPath",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "glusterfs",
  "flocker",
  "nfs",
  "rbd",
  "quobyte",
  "cephfs",
  "iscsi",
  "cinder",
  "fc",
  "flexVolume",
  "azureFile",
  "vsphereVolume",
  "photonPersistentDisk",
  "portworxVolume",
  "azureDisk",
  "scaleIO",
  "local",
  "storageos",
  "csi",
] as const;

export function validatePersistentVolume({ spec }: PersistentVolume): FieldError[] {
  const errors = validateAccessModes(spec?.accessModes, "spec.accessModes");
  const capacity = spec?.capacity ?? {};
  if (Object.keys(capacity).length === 0) errors.push(required("spec.capacity"));
  if (capacity["storage"] === undefined || Object.keys(capacity).length > 1)
    errors.push(notSupported("spec.capacity", capacity, ["storage"]));
  for (const [name, text] of Object.entries(capacity))
    if ((parseQuantity(text)?.nano ?? 1n) <= 0n)
      errors.push(invalid(`spec.capacity[${name}]`, text, "must be greater than zero"));
  errors.push(
    ...checkOptionalWord(spec?.persistentVolumeReclaimPolicy, "spec.persistentVolumeReclaimPolicy", [
      "Delete",
      "Recycle",
      "Retain",
    ]),
  );
  if (spec?.nodeAffinity !== undefined) {
    if (spec.nodeAffinity.required === undefined)
      errors.push(required("spec.nodeAffinity.required", "must specify required node constraints"));
    else
      errors.push(
        ...validateNodeSelector(spec.nodeAffinity.required, "spec.nodeAffinity.required", {
          allowInvalidLabelValues: false,
        }),
      );
  }
  errors.push(...validateSource(spec));
  if (spec?.storageClassName)
    errors.push(...checkText(spec.storageClassName, "spec.storageClassName", isDns1123Subdomain));
  errors.push(...checkOptionalWord(spec?.volumeMode, "spec.volumeMode", ["Block", "Filesystem"]));
  if (spec?.volumeAttributesClassName === "")
    errors.push(required("spec.volumeAttributesClassName", "an empty string is disallowed"));
  else if (spec?.volumeAttributesClassName !== undefined)
    errors.push(...checkText(spec.volumeAttributesClassName, "spec.volumeAttributesClassName", isDns1123Subdomain));
  return errors;
}

function validateSource(spec: PersistentVolumeSpec | undefined): FieldError[] {
  const [first, ...others] = SOURCES.filter((source) => spec?.[source] !== undefined);
  if (first === undefined) return [required("spec", "must specify a volume type")];
  const errors: FieldError[] = others.map((source) =>
    fieldForbidden(`spec.${source}`, "may not specify more than 1 volume type"),
  );
  switch (first) {
    case "hostPath":
      errors.push(...validateHostPath(spec!.hostPath!, "spec.hostPath"));
      if (spec!.hostPath!.path === "/" && spec!.persistentVolumeReclaimPolicy === "Recycle")
        errors.push(
          fieldForbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"),
        );
      return errors;
    case "nfs":
      return [...errors, ...validateNfs(spec!.nfs!, "spec.nfs")];
    case "local":
      if (!spec!.local!.path) errors.push(required("spec.local.path"));
      else errors.push(...checkText(spec!.local!.path, "spec.local.path", isPathWithoutBacksteps));
      if (spec!.nodeAffinity === undefined)
        errors.push(required("spec.nodeAffinity", "Local volume requires node affinity"));
      return errors;
    case "csi":
      if (!spec!.csi!.driver) errors.push(required("spec.csi.driver"));
      if (!spec!.csi!.volumeHandle) errors.push(required("spec.csi.volumeHandle"));
      return errors;
    default:
      return errors;
  }
}

export function validatePersistentVolumeUpdate(volume: PersistentVolume, old: PersistentVolume): FieldError[] {
  const errors = validatePersistentVolume(volume);
  const source = ({ spec }: PersistentVolume) => Object.fromEntries(SOURCES.map((name) => [name, spec[name]]));
  if (!semanticEqual(withoutExpandSecret(source(volume), old), source(old)))
    errors.push(
      fieldForbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"),
    );
  if (volume.spec.volumeAttributesClassName === undefined && old.spec.volumeAttributesClassName !== undefined)
    errors.push(fieldForbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"));
  return [...errors, ...immutableField(volume.spec.volumeMode, old.spec.volumeMode, "volumeMode")];
}

/** The one part of a source that may be added later. */
function withoutExpandSecret(source: Record<string, any>, old: PersistentVolume): Record<string, any> {
  if (source["csi"] === undefined || old.spec.csi?.controllerExpandSecretRef !== undefined) return source;
  const { controllerExpandSecretRef: _, ...csi } = source["csi"];
  return { ...source, csi };
}
