/**
 * Volumes that name a server, a disk or a driver: most of their drivers left the tree long ago, but what is written about them is still checked.
 * Each takes the source and its path; the shapes are those that pods and persistent volumes have in common.
 * Upstream: pkg/apis/core/validation/validation.go (validateVolumeSource)
 */
import { checkRequiredText, checkText } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../../machinery/validation/object-meta.ts";
import type {
  AWSElasticBlockStoreVolumeSource,
  AzureDiskVolumeSource,
  FCVolumeSource,
  FlockerVolumeSource,
  GCEPersistentDiskVolumeSource,
  GitRepoVolumeSource,
  QuobyteVolumeSource,
} from "../../../../generated/core.v1.ts";

export function isDescendingPath(path: string): readonly string[] {
  return [...(path.startsWith("/") ? ["must be a relative path"] : []), ...isPathWithoutBacksteps(path)];
}

export function isPathWithoutBacksteps(path: string): readonly string[] {
  return path.split("/").includes("..") ? ["must not contain '..'"] : [];
}

/** Names that start with two dots are the kubelet's own. */
export function isNonReservedPath(path: string): readonly string[] {
  const errors = [...isDescendingPath(path)];
  if (path.startsWith("..") && !path.startsWith("../")) errors.push("must not start with '..'");
  return errors;
}

/** `Required value` for each of the fields that is empty, in their order. */
export function checkPresent<T extends object>(source: T, path: string, ...fields: (keyof T & string)[]): FieldError[] {
  return fields.filter((field) => isMissing(source[field])).map((field) => required(`${path}.${field}`));
}
const isMissing = (value: unknown): boolean => !value || (Array.isArray(value) && value.length === 0);

const HOST_PATH_TYPES: readonly string[] = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

export function validateHostPath(
  { path: text, type }: { readonly path: string; readonly type?: string },
  path: string,
): FieldError[] {
  if (!text) return [required(`${path}.path`)];
  const errors = checkText(text, `${path}.path`, isPathWithoutBacksteps);
  if (type !== undefined && !HOST_PATH_TYPES.includes(type))
    errors.push(notSupported(`${path}.type`, type, HOST_PATH_TYPES));
  return errors;
}

export function validateNfs(
  { server, path: text }: { readonly server: string; readonly path: string },
  path: string,
): FieldError[] {
  return [
    ...(server ? [] : [required(`${path}.server`)]),
    ...(text ? [] : [required(`${path}.path`)]),
    ...((text ?? "").startsWith("/") ? [] : [invalid(`${path}.path`, text ?? "", "must be an absolute path")]),
  ];
}

export function validateGitRepo(source: GitRepoVolumeSource, path: string): FieldError[] {
  return [
    ...checkPresent(source, path, "repository"),
    ...checkText(source.directory ?? "", `${path}.directory`, isDescendingPath),
  ];
}

/** A disk of a cloud: `partition` 0 means the whole of it. */
function checkPartition(partition: number | undefined, path: string): FieldError[] {
  if (partition === undefined || (partition >= 0 && partition <= 255)) return [];
  return [invalid(`${path}.partition`, partition, "must be between 1 and 255, inclusive")];
}

export function validateGcePersistentDisk(source: GCEPersistentDiskVolumeSource, path: string): FieldError[] {
  return [...checkPresent(source, path, "pdName"), ...checkPartition(source.partition, path)];
}

export function validateAwsElasticBlockStore(source: AWSElasticBlockStoreVolumeSource, path: string): FieldError[] {
  return [...checkPresent(source, path, "volumeID"), ...checkPartition(source.partition, path)];
}

const ISCSI_NAMES: readonly (readonly [prefix: string, form: RegExp])[] = [
  ["iqn", /iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$/],
  ["eui", /^eui.[A-Za-z0-9]{16}$/],
  ["naa", /^naa.[A-Za-z0-9]{32}$/],
];

/** `startWords`: what is said of a name that starts like none of the three forms. */
function checkIscsiName(name: string, path: string, startWords: string): FieldError[] {
  const form = ISCSI_NAMES.find(([prefix]) => name.startsWith(prefix));
  if (form === undefined) return [invalid(path, name, startWords)];
  return form[1].test(name) ? [] : [invalid(path, name, "must be valid format")];
}

interface IscsiSource {
  readonly targetPortal: string;
  readonly iqn: string;
  readonly lun: number;
  readonly chapAuthDiscovery?: boolean;
  readonly chapAuthSession?: boolean;
  readonly secretRef?: object;
  readonly initiatorName?: string;
}

export function validateIscsi(source: IscsiSource, path: string): FieldError[] {
  const words = "must be valid format starting with iqn, eui, or naa";
  return [
    ...checkPresent(source, path, "targetPortal", "iqn"),
    ...(source.iqn ? checkIscsiName(source.iqn, `${path}.iqn`, words) : []),
    ...checkLun(source.lun ?? 0, path),
    ...((source.chapAuthDiscovery === true || source.chapAuthSession === true) && source.secretRef === undefined
      ? [required(`${path}.secretRef`)]
      : []),
    ...(source.initiatorName === undefined ? [] : checkIscsiName(source.initiatorName, `${path}.initiatorname`, words)),
  ];
}

function checkLun(lun: number, path: string): FieldError[] {
  return lun < 0 || lun > 255 ? [invalid(`${path}.lun`, lun, "must be between 0 and 255, inclusive")] : [];
}

export function validateFc({ targetWWNs = [], wwids = [], lun }: FCVolumeSource, path: string): FieldError[] {
  const at = `${path}.targetWWNs`;
  const errors: FieldError[] = [];
  if (targetWWNs.length === 0 && wwids.length === 0)
    errors.push(required(at, "must specify either targetWWNs or wwids, but not both"));
  if (targetWWNs.length === 0) return errors;
  if (wwids.length > 0)
    errors.push(invalid(at, targetWWNs, "targetWWNs and wwids can not be specified simultaneously"));
  if (lun === undefined) errors.push(required(`${path}.lun`, "lun is required if targetWWNs is specified"));
  else errors.push(...checkLun(lun, path));
  return errors;
}

export function validateFlocker(
  { datasetName = "", datasetUUID = "" }: FlockerVolumeSource,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (datasetName === "" && datasetUUID === "")
    errors.push(required(path, "one of datasetName and datasetUUID is required"));
  if (datasetName !== "" && datasetUUID !== "")
    errors.push(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"));
  if (datasetName.includes("/")) errors.push(invalid(`${path}.datasetName`, datasetName, "must not contain '/'"));
  return errors;
}

const QUOBYTE_WORDS = "must be a host:port pair or multiple pairs separated by commas";

export function validateQuobyte(source: QuobyteVolumeSource, path: string): FieldError[] {
  const { registry, tenant = "" } = source;
  const errors: FieldError[] = [];
  if (!registry) errors.push(required(`${path}.registry`, QUOBYTE_WORDS));
  else if (Buffer.byteLength(tenant) >= 65)
    errors.push(required(`${path}.tenant`, "must be a UUID and may not exceed a length of 64 characters"));
  else
    for (const pair of registry.split(","))
      if (!isHostPort(pair)) errors.push(invalid(`${path}.registry`, registry, QUOBYTE_WORDS));
  return [...errors, ...checkPresent(source, path, "volume")];
}

/** `host:port` or `[address]:port`, each of which may be empty. */
function isHostPort(text: string): boolean {
  return /^(\[[^[\]]*\]|[^:[\]]*):[^:[\]]*$/.test(text);
}

export function validateFlexVolume(
  source: { readonly driver: string; readonly options?: Readonly<Record<string, string>> },
  path: string,
): FieldError[] {
  const errors = checkPresent(source, path, "driver");
  for (const [key] of sortedEntries(source.options)) {
    const domain = `.${key.split("/", 1)[0]!.toLowerCase()}`;
    if (domain.endsWith(".kubernetes.io") || domain.endsWith(".k8s.io"))
      errors.push(invalid(`${path}.options[${key}]`, key, "kubernetes.io and k8s.io namespaces are reserved"));
  }
  return errors;
}

const MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";

export function validateAzureDisk(source: AzureDiskVolumeSource, path: string): FieldError[] {
  const { cachingMode, kind, diskURI } = source;
  const errors = checkPresent(source, path, "diskName", "diskURI");
  const cachingModes = ["None", "ReadOnly", "ReadWrite"];
  const kinds = ["Dedicated", "Managed", "Shared"];
  if (cachingMode !== undefined && !cachingModes.includes(cachingMode))
    errors.push(notSupported(`${path}.cachingMode`, cachingMode, cachingModes));
  if (kind === undefined) return errors;
  if (!kinds.includes(kind)) errors.push(notSupported(`${path}.kind`, kind, kinds));
  const [start, form] = kind === "Managed" ? ["/subscriptions/", MANAGED_DISK] : ["https://", BLOB_DISK];
  if (!(diskURI ?? "").startsWith(start)) errors.push(notSupported(`${path}.diskURI`, diskURI ?? "", [form]));
  return errors;
}

interface StorageOsSource {
  readonly volumeName?: string;
  readonly volumeNamespace?: string;
  readonly secretRef?: { readonly name?: string };
}

export function validateStorageOs(
  { volumeName, volumeNamespace, secretRef }: StorageOsSource,
  path: string,
): FieldError[] {
  return [
    ...checkRequiredText(volumeName, `${path}.volumeName`, isDns1123Label),
    ...(volumeNamespace ? checkText(volumeNamespace, `${path}.volumeNamespace`, isDns1123Label) : []),
    ...checkSecretName(secretRef, path),
  ];
}

/** A reference that is there needs a name. */
export function checkSecretName(reference: { readonly name?: string } | undefined, path: string): FieldError[] {
  return reference === undefined || reference.name ? [] : [required(`${path}.secretRef.name`)];
}

export function checkCsiDriverName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)];
  const errors = Buffer.byteLength(name) > 63 ? [tooLong(path, 63)] : [];
  for (const message of isDns1123Subdomain(name.toLowerCase())) errors.push(invalid(path, name, message));
  return errors;
}
