/** Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolume) */
import { posix } from "node:path";
import type { HookContext } from "../../../../machinery/resource.ts";
import { parseQuantity } from "../../../../machinery/meta/quantity.ts";
import {
  checkCsiDriverName,
  checkOptionalWord,
  checkRequiredText,
  checkText,
} from "../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../../../machinery/validation/names.ts";
import { immutableField, sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type {
  PersistentVolume,
  PersistentVolumeSpec,
  SecretReference,
  VolumeNodeAffinity,
} from "../../../generated/core.v1.ts";
import { internalDiff, internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateAccessModes, validateBasicQuantity } from "../persistentvolumeclaim/validation.ts";
import { isPathWithoutBacksteps, validateHostPath, validateNfs } from "../pod/validation/volumes.ts";
import { type Leniency, validateNodeSelector } from "../pod/validation/scheduling.ts";
import {
  validateAwsElasticBlockStore,
  validateAzureDisk,
  validateAzureFile,
  validateCephfs,
  validateCinder,
  validateFc,
  validateFlexVolume,
  validateFlocker,
  validateGcePersistentDisk,
  validateGlusterfs,
  validateIscsi,
  validatePhoton,
  validatePortworx,
  validateQuobyte,
  validateRbd,
  validateScaleIo,
  validateStorageOs,
  validateVsphere,
} from "./sources.ts";

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

const RECLAIM_POLICIES = ["Delete", "Recycle", "Retain"];
const MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options";
/** Whose mounts take options. */
const WITH_MOUNT_OPTIONS: readonly (typeof SOURCES)[number][] = [
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "glusterfs",
  "nfs",
  "rbd",
  "quobyte",
  "iscsi",
  "cinder",
  "cephfs",
  "azureFile",
  "vsphereVolume",
  "azureDisk",
  "photonPersistentDisk",
];

export function validatePersistentVolume(volume: PersistentVolume): FieldError[] {
  return [...validateVolumeSpec(volume, { allowInvalidLabelValues: false }), ...validateMountOptions(volume)];
}

function validateMountOptions({ metadata, spec }: PersistentVolume): FieldError[] {
  if (metadata.annotations?.[MOUNT_OPTIONS] === undefined) return [];
  if (WITH_MOUNT_OPTIONS.some((source) => spec?.[source] !== undefined)) return [];
  return [
    fieldForbidden(`metadata.annotations.${MOUNT_OPTIONS}`, "may not specify mount options for this volume type"),
  ];
}

/** A volume that an attachment describes itself, for a driver that needs no more of it. */
export function validateInlineVolume(spec: PersistentVolumeSpec, path: string): FieldError[] {
  const words = "in the context of inline volumes";
  const forbidden = (field: keyof PersistentVolumeSpec): FieldError[] =>
    spec[field] ? [fieldForbidden(`${path}.${field}`, `may not be specified ${words}`)] : [];
  const errors = forbidden("claimRef");
  if (Object.keys(spec.capacity ?? {}).length > 0) errors.push(...forbidden("capacity"));
  if (spec.csi === undefined) errors.push(required(`${path}.csi`, `has to be specified ${words}`));
  errors.push(...validateAccessModes(spec.accessModes, `${path}.accessModes`));
  if (spec.persistentVolumeReclaimPolicy && spec.persistentVolumeReclaimPolicy !== "Retain")
    errors.push(fieldForbidden(`${path}.persistentVolumeReclaimPolicy`, `may only be Retain ${words}`));
  errors.push(...forbidden("nodeAffinity"), ...validateSource(spec, "", path), ...forbidden("storageClassName"));
  if (spec.volumeMode !== undefined && spec.volumeMode !== "Filesystem")
    errors.push(fieldForbidden(`${path}.volumeMode`, `may not specify volumeMode other than Filesystem ${words}`));
  return errors;
}

function validateAttributesClassName(spec: PersistentVolumeSpec, path: string): FieldError[] {
  const name = spec.volumeAttributesClassName;
  const at = `${path}.volumeAttributesClassName`;
  if (name === undefined) return [];
  return [
    ...(name === "" ? [required(at, "an empty string is disallowed")] : checkText(name, at, isDns1123Subdomain)),
    ...(spec.csi === undefined
      ? [required(`${path}.csi`, "has to be specified when using volumeAttributesClassName")]
      : []),
  ];
}

function validateVolumeSpec({ spec, metadata }: PersistentVolume, leniency: Leniency): FieldError[] {
  const errors = validateAccessModes(spec?.accessModes, "spec.accessModes");
  const capacity = spec?.capacity ?? {};
  if (Object.keys(capacity).length === 0) errors.push(required("spec.capacity"));
  if (capacity["storage"] === undefined || Object.keys(capacity).length > 1)
    errors.push(notSupported("spec.capacity", spec?.capacity ?? null, ["storage"]));
  for (const [name, text] of sortedEntries(capacity)) {
    const at = `spec.capacity[${name}]`;
    errors.push(...validateBasicQuantity(text, at));
    if ((parseQuantity(text)?.nano ?? 1n) <= 0n) errors.push(invalid(at, text, "must be greater than zero"));
  }
  if (spec?.persistentVolumeReclaimPolicy)
    errors.push(
      ...checkOptionalWord(spec.persistentVolumeReclaimPolicy, "spec.persistentVolumeReclaimPolicy", RECLAIM_POLICIES),
    );
  if (spec?.nodeAffinity !== undefined) {
    if (spec.nodeAffinity.required === undefined)
      errors.push(required("spec.nodeAffinity.required", "must specify required node constraints"));
    else errors.push(...validateNodeSelector(spec.nodeAffinity.required, "spec.nodeAffinity.required", leniency));
  }
  errors.push(...validateSource(spec, metadata.name));
  if (
    spec?.hostPath?.path &&
    posix.normalize(`${spec.hostPath.path}/`) === "/" &&
    spec.persistentVolumeReclaimPolicy === "Recycle"
  )
    errors.push(
      fieldForbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"),
    );
  if (spec?.storageClassName)
    errors.push(...checkText(spec.storageClassName, "spec.storageClassName", isDns1123Subdomain));
  errors.push(...checkOptionalWord(spec?.volumeMode, "spec.volumeMode", ["Block", "Filesystem"]));
  if (spec !== undefined) errors.push(...validateAttributesClassName(spec, "spec"));
  return errors;
}

function validateSource(spec: PersistentVolumeSpec | undefined, name: string, path = "spec"): FieldError[] {
  const given = SOURCES.filter((source) => spec?.[source] !== undefined);
  if (given.length === 0) return [required(path, "must specify a volume type")];
  return given.flatMap((source, i) => {
    // The one driver that upstream looks at wherever it stands.
    if (i === 0 || source === "flexVolume") return validateOne(source, spec!, name, path);
    const at = source === "cephfs" ? "cephFS" : source;
    return [fieldForbidden(`${path}.${at}`, "may not specify more than 1 volume type")];
  });
}

function validateOne(
  source: (typeof SOURCES)[number],
  spec: PersistentVolumeSpec,
  name: string,
  parent: string,
): FieldError[] {
  const path = `${parent}.${source}`;
  switch (source) {
    case "hostPath":
      return validateHostPath(spec.hostPath!, path);
    case "gcePersistentDisk":
      return validateGcePersistentDisk(spec.gcePersistentDisk!, `${parent}.persistentDisk`);
    case "awsElasticBlockStore":
      return validateAwsElasticBlockStore(spec.awsElasticBlockStore!, path);
    case "glusterfs":
      return validateGlusterfs(spec.glusterfs!, path);
    case "flocker":
      return validateFlocker(spec.flocker!, path);
    case "nfs":
      return validateNfs(spec.nfs!, path);
    case "rbd":
      return validateRbd(spec.rbd!, path);
    case "quobyte":
      return validateQuobyte(spec.quobyte!, path);
    case "cephfs":
      return validateCephfs(spec.cephfs!, path);
    case "iscsi":
      return validateIscsi(spec.iscsi!, path, name);
    case "cinder":
      return validateCinder(spec.cinder!, path);
    case "fc":
      return validateFc(spec.fc!, path);
    case "flexVolume":
      return validateFlexVolume(spec.flexVolume!, path);
    case "azureFile":
      return validateAzureFile(spec.azureFile!, path);
    case "vsphereVolume":
      return validateVsphere(spec.vsphereVolume!, path);
    case "photonPersistentDisk":
      return validatePhoton(spec.photonPersistentDisk!, path);
    case "portworxVolume":
      return validatePortworx(spec.portworxVolume!, path);
    case "azureDisk":
      return validateAzureDisk(spec.azureDisk!, path);
    case "scaleIO":
      return validateScaleIo(spec.scaleIO!, path);
    case "storageos":
      return validateStorageOs(spec.storageos!, path);
    case "local":
      return [
        ...checkRequiredText(spec.local!.path, `${path}.path`, isPathWithoutBacksteps),
        ...(spec.nodeAffinity === undefined
          ? [required(`${parent}.nodeAffinity`, "Local volume requires node affinity")]
          : []),
      ];
    case "csi":
      return validateCsi(spec.csi!, path);
  }
}

function validateCsi(csi: NonNullable<PersistentVolumeSpec["csi"]>, path: string): FieldError[] {
  return [
    ...checkCsiDriverName(csi.driver ?? "", `${path}.driver`),
    ...(csi.volumeHandle ? [] : [required(`${path}.volumeHandle`)]),
    ...(
      [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
      ] as const
    ).flatMap((field) => (csi[field] === undefined ? [] : validateSecretReference(csi[field], `${path}.${field}`))),
  ];
}

function validateSecretReference(reference: SecretReference, path: string): FieldError[] {
  return [
    ...checkRequiredText(reference.name, `${path}.name`, isDns1123Subdomain),
    ...checkRequiredText(reference.namespace, `${path}.namespace`, isDns1123Label),
  ];
}

export function validatePersistentVolumeUpdate(
  volume: PersistentVolume,
  old: PersistentVolume,
  context: Pick<HookContext, "featureGates">,
): FieldError[] {
  const before = old.spec?.nodeAffinity?.required;
  const strict = { allowInvalidLabelValues: false };
  const leniency = {
    allowInvalidLabelValues: before !== undefined && validateNodeSelector(before, "", strict).length > 0,
  };
  const errors = validateVolumeSpec(volume, leniency);
  return [...errors, ...validateMountOptions(volume), ...errors, ...validateChanges(volume, old, context)];
}

function validateChanges(
  { spec }: PersistentVolume,
  { spec: before }: PersistentVolume,
  context: Pick<HookContext, "featureGates">,
): FieldError[] {
  const errors: FieldError[] = [];
  const [now, then] = [sourceOf(spec), sourceOf(before)];
  const { controllerExpandSecretRef: added, ...csi } = spec?.csi ?? {};
  // The one part of a source that may be added later.
  const compared =
    added !== undefined && before?.csi !== undefined && before.csi.controllerExpandSecretRef === undefined
      ? { ...now, csi }
      : now;
  if (!semanticEqual(compared, then)) {
    const names = ["io.k8s.api.core.v1.PersistentVolumeSpec", "io.k8s.api.core.v1.PersistentVolumeSource"] as const;
    errors.push(
      fieldForbidden(
        "spec.persistentvolumesource",
        `spec.persistentvolumesource is immutable after creation\n${internalDiff(then, compared, ...names)}`,
      ),
    );
  }
  errors.push(...immutableField(spec?.volumeMode, before?.volumeMode, "volumeMode"));
  if (before?.nodeAffinity !== undefined && !context.featureGates.get("MutablePVNodeAffinity")) {
    const affinity = spec?.nodeAffinity;
    if (!semanticEqual(affinity, before.nodeAffinity) && !semanticEqual(affinity, withoutBeta(before.nodeAffinity))) {
      const shown = affinity === undefined ? null : internalValue(affinity, "io.k8s.api.core.v1.VolumeNodeAffinity");
      errors.push(invalid("nodeAffinity", shown, "field is immutable, except for updating from beta label to GA"));
    }
  }
  if (spec?.volumeAttributesClassName === undefined && before?.volumeAttributesClassName !== undefined)
    errors.push(fieldForbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"));
  return errors;
}

const SINCE_STABLE: ReadonlyMap<string, string> = new Map([
  ["failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"],
  ["failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"],
  ["beta.kubernetes.io/os", "kubernetes.io/os"],
  ["beta.kubernetes.io/arch", "kubernetes.io/arch"],
  ["beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"],
]);

/** The same with the labels that nodes have had since those were stable: this much may change. */
function withoutBeta({ required }: VolumeNodeAffinity): VolumeNodeAffinity {
  if (required === undefined) return {};
  const nodeSelectorTerms = required.nodeSelectorTerms.map(({ matchExpressions = [], ...term }) => ({
    ...term,
    matchExpressions: matchExpressions.map((one) => ({ ...one, key: SINCE_STABLE.get(one.key) ?? one.key })),
  }));
  return { required: { nodeSelectorTerms } };
}

const sourceOf = (spec: PersistentVolumeSpec | undefined): Record<string, unknown> =>
  Object.fromEntries(SOURCES.filter((name) => spec?.[name] !== undefined).map((name) => [name, spec![name]]));

/** The resource version is asked for twice. */
export function validatePersistentVolumeStatus({ metadata }: PersistentVolume): FieldError[] {
  return metadata.resourceVersion ? [] : [required("resourceVersion")];
}
