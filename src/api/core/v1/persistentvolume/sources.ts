/**
 * The drivers that once were part of the tree: their volumes can't be mounted any more, and their descriptions are still checked. Those without a
 * secret of another namespace are the same in pods.
 * Upstream: pkg/apis/core/validation/validation.go (validateISCSIPersistentVolumeSource and its neighbours)
 */
import { checkRequiredText, checkText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, notSupported, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1123Label } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type {
  AWSElasticBlockStoreVolumeSource,
  AzureDiskVolumeSource,
  FCVolumeSource,
  FlockerVolumeSource,
  GCEPersistentDiskVolumeSource,
  PersistentVolumeSpec,
  QuobyteVolumeSource,
} from "../../../generated/core.v1.ts";

type Source<K extends keyof PersistentVolumeSpec> = NonNullable<PersistentVolumeSpec[K]>;

/** An error for each field that is empty. */
function missing<T extends object>(
  source: T,
  path: string,
  ...fields: readonly Extract<keyof T, string>[]
): FieldError[] {
  return fields.filter((field) => !source[field]).map((field) => required(`${path}.${field}`));
}

function checkPartition(partition: number | undefined, path: string): FieldError[] {
  if ((partition ?? 0) >= 0 && (partition ?? 0) <= 255) return [];
  return [invalid(`${path}.partition`, partition, "must be between 1 and 255, inclusive")];
}

function checkLun(lun: number, path: string): FieldError[] {
  return lun >= 0 && lun <= 255 ? [] : [invalid(`${path}.lun`, lun, "must be between 0 and 255, inclusive")];
}

export const validateGcePersistentDisk = (source: GCEPersistentDiskVolumeSource, path: string): FieldError[] => [
  ...missing(source, path, "pdName"),
  ...checkPartition(source.partition, path),
];

export const validateAwsElasticBlockStore = (source: AWSElasticBlockStoreVolumeSource, path: string): FieldError[] => [
  ...missing(source, path, "volumeID"),
  ...checkPartition(source.partition, path),
];

export function validateFlocker({ datasetName, datasetUUID }: FlockerVolumeSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!datasetName && !datasetUUID) errors.push(required(path, "one of datasetName and datasetUUID is required"));
  if (datasetName && datasetUUID)
    errors.push(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"));
  if (datasetName?.includes("/")) errors.push(invalid(`${path}.datasetName`, datasetName, "must not contain '/'"));
  return errors;
}

export function validateQuobyte({ registry, tenant, volume }: QuobyteVolumeSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const detail = "must be a host:port pair or multiple pairs separated by commas";
  if (!registry) errors.push(required(`${path}.registry`, detail));
  else if (Buffer.byteLength(tenant ?? "") >= 65)
    errors.push(required(`${path}.tenant`, "must be a UUID and may not exceed a length of 64 characters"));
  else
    for (const pair of registry.split(","))
      if (!isHostPort(pair)) errors.push(invalid(`${path}.registry`, registry, detail));
  if (!volume) errors.push(required(`${path}.volume`));
  return errors;
}

/** As Go's net.SplitHostPort sees it: either part may be empty. */
const isHostPort = (text: string): boolean => /^(\[[^[\]]*\]|[^[\]:]*):[^[\]:]*$/.test(text);

export function validateFc({ targetWWNs = [], wwids = [], lun }: FCVolumeSource, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const at = `${path}.targetWWNs`;
  if (targetWWNs.length === 0 && wwids.length === 0)
    errors.push(required(at, "must specify either targetWWNs or wwids, but not both"));
  if (targetWWNs.length > 0 && wwids.length > 0)
    errors.push(invalid(at, targetWWNs, "targetWWNs and wwids can not be specified simultaneously"));
  if (targetWWNs.length > 0)
    errors.push(
      ...(lun === undefined
        ? [required(`${path}.lun`, "lun is required if targetWWNs is specified")]
        : checkLun(lun, path)),
    );
  return errors;
}

const DISK_KINDS = ["Dedicated", "Managed", "Shared"];
const CACHING_MODES = ["None", "ReadOnly", "ReadWrite"];

export function validateAzureDisk(source: AzureDiskVolumeSource, path: string): FieldError[] {
  const { diskURI = "", cachingMode, kind } = source;
  const errors = missing(source, path, "diskName", "diskURI");
  if (cachingMode !== undefined && !CACHING_MODES.includes(cachingMode))
    errors.push(notSupported(`${path}.cachingMode`, cachingMode, CACHING_MODES));
  if (kind !== undefined && !DISK_KINDS.includes(kind)) errors.push(notSupported(`${path}.kind`, kind, DISK_KINDS));
  if (kind === "Managed" && !diskURI.startsWith("/subscriptions/"))
    errors.push(
      notSupported(`${path}.diskURI`, diskURI, [
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
      ]),
    );
  if (kind !== undefined && kind !== "Managed" && !diskURI.startsWith("https://"))
    errors.push(
      notSupported(`${path}.diskURI`, diskURI, [
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
      ]),
    );
  return errors;
}

const IQN = /iqn\.[0-9]{4}-[0-9]{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\t\n\f\r ]+)$/;
const EUI = /^eui.[A-Za-z0-9]{16}$/;
const NAA = /^naa.[A-Za-z0-9]{32}$/;

/** Names of initiators and targets; pods are told a little more than volumes. */
function checkIscsiName(name: string, path: string, ofPod: boolean): FieldError[] {
  const form = name.startsWith("iqn") ? IQN : name.startsWith("eui") ? EUI : name.startsWith("naa") ? NAA : undefined;
  if (form === undefined)
    return [invalid(path, name, `must be valid format${ofPod ? " starting with iqn, eui, or naa" : ""}`)];
  return form.test(name) ? [] : [invalid(path, name, "must be valid format")];
}

interface Iscsi {
  readonly targetPortal: string;
  readonly iqn: string;
  readonly lun: number;
  readonly chapAuthDiscovery?: boolean;
  readonly chapAuthSession?: boolean;
  readonly secretRef?: { readonly name?: string };
  readonly initiatorName?: string;
}

/** `volumeName` is the persistent volume's, undefined in a pod. */
export function validateIscsi(source: Iscsi, path: string, volumeName: string | undefined): FieldError[] {
  const { targetPortal = "", iqn, lun = 0, secretRef, initiatorName } = source;
  const ofPod = volumeName === undefined;
  const errors = missing(source, path, "targetPortal");
  if (!ofPod && initiatorName !== undefined && Buffer.byteLength(`${volumeName}:${targetPortal}`) > 64)
    errors.push(
      invalid(
        `${path}.targetportal`,
        targetPortal,
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
      ),
    );
  errors.push(...(iqn ? checkIscsiName(iqn, `${path}.iqn`, ofPod) : [required(`${path}.iqn`)]), ...checkLun(lun, path));
  if ((source.chapAuthDiscovery === true || source.chapAuthSession === true) && secretRef === undefined)
    errors.push(required(`${path}.secretRef`));
  if (!ofPod && secretRef !== undefined) errors.push(...missing(secretRef, `${path}.secretRef`, "name"));
  if (initiatorName !== undefined) errors.push(...checkIscsiName(initiatorName, `${path}.initiatorname`, ofPod));
  return errors;
}

export function validateFlexVolume(source: Source<"flexVolume">, path: string): FieldError[] {
  const errors = missing(source, path, "driver");
  for (const [key] of sortedEntries(source.options)) {
    const namespace = `.${(key.includes("/") ? key.slice(0, key.indexOf("/")) : key).toLowerCase()}`;
    if (namespace.endsWith(".kubernetes.io") || namespace.endsWith(".k8s.io"))
      errors.push(invalid(`${path}.options[${key}]`, key, "kubernetes.io and k8s.io namespaces are reserved"));
  }
  return errors;
}

export function validateGlusterfs(source: Source<"glusterfs">, path: string): FieldError[] {
  const errors = missing(source, path, "endpoints", "path");
  const namespace = source.endpointsNamespace;
  const at = `${path}.endpointsNamespace`;
  if (namespace === "")
    errors.push(invalid(at, namespace, "if the endpointnamespace is set, it must be a valid namespace name"));
  else if (namespace !== undefined) errors.push(...checkText(namespace, at, isDns1123Label));
  return errors;
}

export const validateRbd = (source: Source<"rbd">, path: string): FieldError[] => [
  ...((source.monitors ?? []).length === 0 ? [required(`${path}.monitors`)] : []),
  ...missing(source, path, "image"),
];

export const validateCephfs = (source: Source<"cephfs">, path: string): FieldError[] =>
  (source.monitors ?? []).length === 0 ? [required(`${path}.monitors`)] : [];

export const validateCinder = (source: Source<"cinder">, path: string): FieldError[] => [
  ...missing(source, path, "volumeID"),
  ...(source.secretRef === undefined ? [] : missing(source.secretRef, `${path}.secretRef`, "name", "namespace")),
];

export const validateAzureFile = (source: Source<"azureFile">, path: string): FieldError[] => [
  ...missing(source, path, "secretName", "shareName"),
  ...(source.secretNamespace === "" ? [required(`${path}.secretNamespace`)] : []),
];

export const validateVsphere = (source: Source<"vsphereVolume">, path: string): FieldError[] =>
  missing(source, path, "volumePath");
export const validatePhoton = (source: Source<"photonPersistentDisk">, path: string): FieldError[] =>
  missing(source, path, "pdID");
export const validatePortworx = (source: Source<"portworxVolume">, path: string): FieldError[] =>
  missing(source, path, "volumeID");
export const validateScaleIo = (source: Source<"scaleIO">, path: string): FieldError[] =>
  missing(source, path, "gateway", "system", "volumeName");

export const validateStorageOs = (source: Source<"storageos">, path: string): FieldError[] => [
  ...checkRequiredText(source.volumeName, `${path}.volumeName`, isDns1123Label),
  ...(source.volumeNamespace ? checkText(source.volumeNamespace, `${path}.volumeNamespace`, isDns1123Label) : []),
  ...(source.secretRef === undefined ? [] : missing(source.secretRef, `${path}.secretRef`, "name", "namespace")),
];
