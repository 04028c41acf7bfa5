/**
 * Volumes of a pod, and what may be said about files in them.
 * Upstream: pkg/apis/core/validation/validation.go (ValidateVolumes)
 */
import { parseQuantity } from "../../../../../machinery/meta/quantity.ts";
import { checkRequiredText, checkText, checkWord } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../../../../machinery/validation/names.ts";
import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection } from "../../../../generated/core.v1.ts";
import { validateClaimSpec } from "../../persistentvolumeclaim/validation.ts";
import { validateFieldRef, validateResourceFieldRef, VOLUME_FIELDS } from "./downward-api.ts";

export function isDescendingPath(path: string): readonly string[] {
  return [...(path.startsWith("/") ? ["must be a relative path"] : []), ...isPathWithoutBacksteps(path)];
}

export function isPathWithoutBacksteps(path: string): readonly string[] {
  return path.split("/").includes("..") ? ["must not contain '..'"] : [];
}

/** Names that start with two dots are the kubelet's own. */
function isNonReservedPath(path: string): readonly string[] {
  const errors = [...isDescendingPath(path)];
  if (path.startsWith("..") && !path.startsWith("../")) errors.push("must not start with '..'");
  return errors;
}

function checkMode(mode: number | undefined, path: string): FieldError[] {
  if (mode === undefined || (mode >= 0 && mode <= 0o777)) return [];
  return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")];
}

/** The order in which the types are looked at: the first one counts, the others are in its way. */
const TYPES = [
  "emptyDir",
  "hostPath",
  "gitRepo",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "secret",
  "nfs",
  "iscsi",
  "glusterfs",
  "flocker",
  "persistentVolumeClaim",
  "rbd",
  "cinder",
  "cephfs",
  "quobyte",
  "downwardAPI",
  "fc",
  "flexVolume",
  "configMap",
  "azureFile",
  "vsphereVolume",
  "photonPersistentDisk",
  "portworxVolume",
  "azureDisk",
  "storageos",
  "projected",
  "scaleIO",
  "csi",
  "ephemeral",
  "image",
] as const;
type VolumeType = (typeof TYPES)[number];

/** The volumes without errors, by name: only those count for mounts. */
export type KnownVolumes = ReadonlyMap<string, Volume>;

export function validateVolumes(
  volumes: readonly Volume[],
  path: string,
  podName: string | undefined,
): { readonly errors: readonly FieldError[]; readonly known: KnownVolumes } {
  const errors: FieldError[] = [];
  const known = new Map<string, Volume>();
  const made = new Set(
    volumes.filter(({ ephemeral }) => ephemeral !== undefined).map(({ name }) => `${podName}-${name}`),
  );
  for (const [i, volume] of volumes.entries()) {
    const at = `${path}[${i}]`;
    const own = validateSource(volume, at, podName);
    if (!volume.name) own.push(required(`${at}.name`));
    else own.push(...checkText(volume.name, `${at}.name`, isDns1123Label));
    if (known.has(volume.name)) own.push(duplicate(`${at}.name`, volume.name));
    if (own.length === 0) known.set(volume.name, volume);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim !== undefined && podName !== undefined && made.has(claim))
      own.push(
        invalid(
          `${at}.persistentVolumeClaim.claimName`,
          claim,
          "must not reference a PVC that gets created for an ephemeral volume",
        ),
      );
    errors.push(...own);
  }
  return { errors, known };
}

function validateSource(volume: Volume, path: string, podName: string | undefined): FieldError[] {
  const given = TYPES.filter((type) => volume[type] !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return [required(path, "must specify a volume type")];
  return [
    ...validateOne(first, volume, path, podName),
    ...others.map((type) =>
      fieldForbidden(
        `${path}.${type === "downwardAPI" ? "downwarAPI" : type}`,
        "may not specify more than 1 volume type",
      ),
    ),
  ];
}

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

function validateOne(type: VolumeType, volume: Volume, path: string, podName: string | undefined): FieldError[] {
  const at = `${path}.${type}`;
  switch (type) {
    case "emptyDir": {
      const limit = parseQuantity(volume.emptyDir!.sizeLimit ?? "0");
      return limit !== undefined && limit.nano < 0n
        ? [fieldForbidden(`${at}.sizeLimit`, "SizeLimit field must be a valid resource quantity")]
        : [];
    }
    case "hostPath":
      return validateHostPath(volume.hostPath!, at);
    case "nfs":
      return validateNfs(volume.nfs!, at);
    case "secret": {
      const { secretName, items = [], defaultMode } = volume.secret!;
      return [
        ...(secretName ? [] : [required(`${at}.secretName`)]),
        ...checkMode(defaultMode, `${at}.defaultMode`),
        ...items.flatMap((item, i) => validateKeyToPath(item, `${at}.items[${i}]`)),
      ];
    }
    case "configMap": {
      const { name, items = [], defaultMode } = volume.configMap!;
      return [
        ...(name ? [] : [required(`${at}.name`)]),
        ...checkMode(defaultMode, `${at}.defaultMode`),
        ...items.flatMap((item, i) => validateKeyToPath(item, `${at}.items[${i}]`)),
      ];
    }
    case "persistentVolumeClaim":
      return volume.persistentVolumeClaim!.claimName ? [] : [required(`${at}.claimName`)];
    case "downwardAPI":
      return [
        ...checkMode(volume.downwardAPI!.defaultMode, `${at}.defaultMode`),
        ...(volume.downwardAPI!.items ?? []).flatMap((item) => validateDownwardFile(item, at)),
      ];
    case "projected":
      return validateProjected(volume.projected!.sources ?? [], at, volume.projected!.defaultMode);
    case "csi": {
      const { driver, nodePublishSecretRef } = volume.csi!;
      return [
        ...checkRequiredText(driver, `${at}.driver`, (text) => isDns1123Subdomain(text.toLowerCase())),
        ...(nodePublishSecretRef !== undefined && !nodePublishSecretRef.name
          ? [required(`${at}.nodePublishSecretRef.name`)]
          : []),
      ];
    }
    case "ephemeral": {
      const template = volume.ephemeral!.volumeClaimTemplate;
      if (template === undefined) return [required(`${at}.volumeClaimTemplate`)];
      const name = `${podName}-${volume.name}`;
      return [
        ...validateClaimSpec(template.spec, `${at}.volumeClaimTemplate.spec`),
        ...(podName === undefined || volume.name === ""
          ? []
          : isDns1123Subdomain(name).map((message) =>
              invalid(`${path}.name`, volume.name, `PVC name "${name}": ${message}`),
            )),
      ];
    }
    case "image":
      return [
        ...(podName !== undefined && !volume.image!.reference ? [required(`${at}.reference`)] : []),
        ...checkWord(volume.image!.pullPolicy, `${at}.pullPolicy`, ["Always", "IfNotPresent", "Never"]),
      ];
    case "gitRepo":
      return [
        ...(volume.gitRepo!.repository ? [] : [required(`${at}.repository`)]),
        ...checkText(volume.gitRepo!.directory ?? "", `${at}.directory`, isDescendingPath),
      ];
    default:
      // Drivers that left the tree: their volumes can't be mounted any more, so only the shape is checked.
      return [];
  }
}

function validateKeyToPath({ key, path: file, mode }: KeyToPath, path: string): FieldError[] {
  return [
    ...(key ? [] : [required(`${path}.key`)]),
    ...checkRequiredText(file, `${path}.path`, isNonReservedPath),
    ...checkMode(mode, `${path}.mode`),
  ];
}

function validateDownwardFile(file: DownwardAPIVolumeFile, path: string): FieldError[] {
  const errors = checkRequiredText(file.path, `${path}.path`, isNonReservedPath);
  if (file.fieldRef !== undefined) {
    errors.push(...validateFieldRef(file.fieldRef, `${path}.fieldRef`, VOLUME_FIELDS));
    if (file.resourceFieldRef !== undefined)
      errors.push(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
  } else if (file.resourceFieldRef !== undefined)
    errors.push(...validateResourceFieldRef(file.resourceFieldRef, `${path}.resourceFieldRef`, true));
  else errors.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  return [...errors, ...checkMode(file.mode, `${path}.mode`)];
}

function validateProjected(
  sources: readonly VolumeProjection[],
  path: string,
  defaultMode: number | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const taken = new Set<string>();
  const take = (file: string, shown: string) => {
    if (taken.has(file)) errors.push(invalid(path, shown, "conflicting duplicate paths"));
    taken.add(file);
  };
  for (const [i, source] of sources.entries()) {
    const at = `${path}.sources[${i}]`;
    const { secret, configMap, downwardAPI, serviceAccountToken } = source;
    for (const [kind, projection] of [
      ["secret", secret],
      ["configMap", configMap],
    ] as const) {
      if (projection === undefined) continue;
      if (!projection.name) errors.push(required(`${at}.${kind}.name`));
      for (const [j, item] of (projection.items ?? []).entries()) {
        errors.push(...validateKeyToPath(item, `${at}.${kind}.items[${j}]`));
        if (item.path) take(item.path, projection.name ?? "");
      }
    }
    for (const file of downwardAPI?.items ?? []) {
      errors.push(...validateDownwardFile(file, `${at}.downwardAPI`));
      if (file.path) take(file.path, file.path);
    }
    if (serviceAccountToken !== undefined) {
      const { expirationSeconds = 3600, path: file } = serviceAccountToken;
      const expiration = `${at}.serviceAccountToken.expirationSeconds`;
      if (expirationSeconds < 600)
        errors.push(invalid(expiration, expirationSeconds, "may not specify a duration less than 10 minutes"));
      if (expirationSeconds > 2 ** 32)
        errors.push(invalid(expiration, expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
      if (!file) errors.push(required(`${path}.path`));
      else errors.push(...checkText(file, `${path}.path`, isNonReservedPath));
    }
    if (Object.values(source).filter((projection) => projection !== undefined).length > 1)
      errors.push(fieldForbidden(at, "may not specify more than 1 volume type per source"));
  }
  return [...errors, ...checkMode(defaultMode, `${path}.defaultMode`)];
}
