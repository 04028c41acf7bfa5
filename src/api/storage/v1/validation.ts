/** Drivers, nodes, attachments and classes of attributes. Upstream: pkg/apis/storage/validation/validation.go */
import {
  checkNonNegative,
  checkOptionalWord,
  checkRequiredText,
  checkText,
  validateLabelSelector,
} from "../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, isQualifiedName } from "../../../machinery/validation/names.ts";
import { immutableField } from "../../../machinery/validation/object-meta.ts";
import { parseQuantity } from "../../../machinery/meta/quantity.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  VolumeAttachment,
  VolumeAttributesClass,
} from "../../generated/storage.v1.ts";
import { validateInlineVolume } from "../../core/v1/persistentvolume/validation.ts";
import { internalValue, selectorValue } from "../../internal-value.ts";
import { deepEqual, semanticEqual } from "../../semantic-equal.ts";

function checkDriverName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)];
  return [
    ...(Buffer.byteLength(name) > 63 ? [tooLong(path, 63)] : []),
    ...checkText(name, path, (text) => isDns1123Subdomain(text.toLowerCase())),
  ];
}

const fixed = (now: unknown, before: unknown, path: string): FieldError[] =>
  semanticEqual(now, before) ? [] : immutableField(now, before, path);

export function validateDriver({ spec }: CSIDriver): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, shown] of [
    ["attachRequired", "attachedRequired"],
    ["podInfoOnMount", "podInfoOnMount"],
    ["storageCapacity", "storageCapacity"],
    ["seLinuxMount", "seLinuxMount"],
  ] as const)
    if (spec[field] === undefined) errors.push(required(`spec.${shown}`));
  errors.push(
    ...checkOptionalWord(spec.fsGroupPolicy, "spec.fsGroupPolicy", ["File", "None", "ReadWriteOnceWithFSType"]),
  );
  const modes = ["Persistent", "Ephemeral"];
  for (const mode of spec.volumeLifecycleModes ?? [])
    if (!modes.includes(mode)) errors.push(notSupported("spec.volumeLifecycleModes", mode, modes));
  const audiences = new Set<string>();
  for (const [i, { audience, expirationSeconds: seconds }] of (spec.tokenRequests ?? []).entries()) {
    const path = `spec.tokenRequests[${i}]`;
    if (audiences.has(audience)) {
      errors.push(duplicate(`${path}.audience`, audience));
      continue;
    }
    audiences.add(audience);
    if (seconds !== undefined && seconds < 600)
      errors.push(invalid(`${path}.expirationSeconds`, seconds, "may not specify a duration less than 10 minutes"));
    if (seconds !== undefined && seconds > 2 ** 32)
      errors.push(invalid(`${path}.expirationSeconds`, seconds, "may not specify a duration larger than 2^32 seconds"));
  }
  const { nodeAllocatableUpdatePeriodSeconds: period, serviceAccountTokenInSecrets: inSecrets } = spec;
  if (period !== undefined && period < 10)
    errors.push(
      invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, "must be greater than or equal to 10 seconds"),
    );
  if (inSecrets !== undefined && (spec.tokenRequests ?? []).length === 0)
    errors.push(
      invalid(
        "spec.serviceAccountTokenInSecrets",
        inSecrets,
        "serviceAccountTokenInSecrets is set but no tokenRequests are specified",
      ),
    );
  return errors;
}

export function validateDriverUpdate(driver: CSIDriver, old: CSIDriver): FieldError[] {
  return [
    ...validateDriver(driver),
    ...fixed(driver.spec.attachRequired, old.spec.attachRequired, "spec.attachedRequired"),
    ...fixed(driver.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes, "spec.volumeLifecycleModes"),
  ];
}

export function validateCsiNode({ spec }: CSINode): FieldError[] {
  const names = new Set<string>();
  return (spec?.drivers ?? []).flatMap(({ name, nodeID, allocatable, topologyKeys = [] }, i) => {
    const path = `spec.drivers[${i}]`;
    const errors = checkDriverName(name, `${path}.name`);
    if (!nodeID) errors.push(required(`${path}.nodeID`));
    else if (Buffer.byteLength(nodeID) > 256)
      errors.push(invalid(`${path}.nodeID`, nodeID, "must be 256 characters or less"));
    errors.push(...checkNonNegative(allocatable?.count, `${path}.allocatable.count`));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    for (const [j, key] of topologyKeys.entries()) {
      if (key === "") errors.push(required(path));
      if (topologyKeys.indexOf(key) < j) errors.push(duplicate(path, key));
      errors.push(...checkText(key, path, isQualifiedName));
    }
    return errors;
  });
}

export function validateCsiNodeUpdate(node: CSINode, old: CSINode): FieldError[] {
  const still = ({ allocatable: _, ...rest }: CSINode["spec"]["drivers"][number]) => rest;
  const errors = validateCsiNode(node);
  for (const before of old.spec?.drivers ?? []) {
    for (const now of (node.spec?.drivers ?? []).filter(({ name }) => name === before.name))
      if (!semanticEqual(still(now), still(before)))
        errors.push(
          invalid("spec.drivers", internalValue(still(now), `${STORAGE}CSINodeDriver`), "field is immutable"),
        );
  }
  return errors;
}

export function validateVolumeAttachment({ spec, status }: VolumeAttachment): FieldError[] {
  const errors = checkDriverName(spec?.attacher, "spec.attacher");
  const { inlineVolumeSpec, persistentVolumeName } = spec?.source ?? {};
  const words = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
  if (inlineVolumeSpec === undefined && persistentVolumeName === undefined) errors.push(required("spec.source", words));
  else if (inlineVolumeSpec !== undefined && persistentVolumeName !== undefined)
    errors.push(fieldForbidden("spec.source", words));
  else if (persistentVolumeName === "")
    errors.push(required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName"));
  else if (inlineVolumeSpec !== undefined)
    errors.push(...validateInlineVolume(inlineVolumeSpec, "spec.source.inlineVolumeSpec"));
  errors.push(...checkText(spec?.nodeName ?? "", "spec.nodeName", isDns1123Subdomain));
  errors.push(...validateAttachmentStatus(status));
  if (persistentVolumeName !== undefined)
    errors.push(...checkText(persistentVolumeName, "spec.source.persistentVolumeName", isDns1123Subdomain));
  return errors;
}

export function validateVolumeAttachmentUpdate(object: VolumeAttachment, old: VolumeAttachment): FieldError[] {
  return [
    ...validateVolumeAttachment(object),
    ...(semanticEqual(object.spec, old.spec)
      ? []
      : [invalid("spec", internalValue(object.spec, `${STORAGE}VolumeAttachmentSpec`), "field is immutable")]),
  ];
}

function validateAttachmentStatus(status: VolumeAttachment["status"]): FieldError[] {
  const errors: FieldError[] = [];
  const metadata = status?.attachmentMetadata ?? {};
  if (bytesOf(metadata) > MAX_BYTES) errors.push(tooLong("status.attachmentMetadata", MAX_BYTES));
  for (const field of ["attachError", "detachError"] as const) {
    const { message = "", errorCode } = status?.[field] ?? {};
    // The limit that is named isn't the one that is kept, here as upstream.
    if (Buffer.byteLength(message) > MAX_ERROR) errors.push(tooLong(`status.${field}.message`, MAX_BYTES));
    if (errorCode !== undefined && errorCode < 0)
      errors.push(invalid(`status.${field}.errorCode`, errorCode, "must be between 0 and 2147483647, inclusive"));
  }
  return errors;
}

const MAX_BYTES = 256 * 1024;
const MAX_ERROR = 1024;
const MAX_PARAMETERS = 512;
const STORAGE = "io.k8s.api.storage.v1.";

const bytesOf = (map: Readonly<Record<string, string>>): number =>
  Object.entries(map).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);

/** What a driver is told: not too much, and nothing without a name. */
export function validateParameters(parameters: Readonly<Record<string, string>>): FieldError[] {
  if (Object.keys(parameters).length > MAX_PARAMETERS) return [tooLong("parameters", MAX_PARAMETERS)];
  return [
    ...("" in parameters ? [invalid("parameters", "", "field can not be empty.")] : []),
    ...(bytesOf(parameters) > MAX_BYTES ? [tooLong("parameters", MAX_BYTES)] : []),
  ];
}

/** A provisioner or driver, shown in the small letters that it is judged by. */
export function checkProvisioner(name: string | undefined, path: string): FieldError[] {
  return checkRequiredText(name?.toLowerCase(), path, isQualifiedName);
}

type AttributesClass = Pick<VolumeAttributesClass, "driverName" | "parameters">;

export function validateAttributesClass({ driverName, parameters = {} }: AttributesClass): FieldError[] {
  const errors = checkProvisioner(driverName, "driverName");
  if (Object.keys(parameters).length === 0)
    errors.push(required("parameters", "must contain at least one key/value pair"));
  return [...errors, ...validateParameters(parameters)];
}

export function validateAttributesClassUpdate(object: AttributesClass, old: AttributesClass): FieldError[] {
  return [
    ...(["driverName", "parameters"] as const)
      .filter((field) => !deepEqual(object[field], old[field]))
      .map((field) => fieldForbidden(field, `updates to ${field} are forbidden.`)),
    ...validateAttributesClass(object),
  ];
}

export function validateCapacity({ capacity, nodeTopology, storageClassName }: CSIStorageCapacity): FieldError[] {
  const errors = checkText(storageClassName ?? "", "storageClassName", isDns1123Subdomain);
  errors.push(...validateLabelSelector(nodeTopology, "nodeTopology"));
  if (capacity !== undefined && (parseQuantity(capacity)?.nano ?? 0n) < 0n)
    errors.push(invalid("capacity", capacity, "must be greater than or equal to 0"));
  return errors;
}

export function validateCapacityUpdate(object: CSIStorageCapacity, old: CSIStorageCapacity): FieldError[] {
  return [
    ...validateCapacity(object),
    ...fixed(selectorValue(object.nodeTopology), selectorValue(old.nodeTopology), "nodeTopology"),
    ...fixed(object.storageClassName, old.storageClassName, "storageClassName"),
  ];
}
