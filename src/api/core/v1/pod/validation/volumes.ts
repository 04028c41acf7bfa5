/**
 * Volumes of a pod.
 * Upstream: pkg/apis/core/validation/validation.go (ValidateVolumes)
 */
import { parseQuantity } from "../../../../../machinery/meta/quantity.ts";
import { checkRequiredText, checkWord } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  required,
} from "../../../../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../../../../machinery/validation/names.ts";
import type { EphemeralVolumeSource, Volume } from "../../../../generated/core.v1.ts";
import { validateClaimSpec } from "../../persistentvolumeclaim/validation.ts";
import { validateTemplateMeta } from "./template-meta.ts";
import type { PodRules } from "./rules.ts";
import { validateProjected } from "./projected.ts";
import { checkMode, validateDownwardFile, validateKeyToPath } from "./volume-files.ts";
import {
  checkCsiDriverName,
  checkPresent,
  checkSecretName,
  validateAwsElasticBlockStore,
  validateAzureDisk,
  validateFc,
  validateFlexVolume,
  validateFlocker,
  validateGcePersistentDisk,
  validateGitRepo,
  validateHostPath,
  validateIscsi,
  validateNfs,
  validateQuobyte,
  validateStorageOs,
} from "./volume-sources.ts";

export { isDescendingPath, isPathWithoutBacksteps, validateHostPath, validateNfs } from "./volume-sources.ts";

type VolumeType = Exclude<keyof Volume, "name">;
type Source<T extends VolumeType> = NonNullable<Volume[T]>;
type Check<T extends VolumeType> = (source: Source<T>, path: string, rules: PodRules, volume: Volume) => FieldError[];

/** In the order in which the types are looked at: the first one counts, the others are in its way. */
const CHECKS: { readonly [T in VolumeType]-?: Check<T> } = {
  emptyDir({ sizeLimit }, path) {
    const limit = parseQuantity(sizeLimit ?? "0");
    return limit !== undefined && limit.nano < 0n
      ? [fieldForbidden(`${path}.sizeLimit`, "SizeLimit field must be a valid resource quantity")]
      : [];
  },
  hostPath: validateHostPath,
  gitRepo: validateGitRepo,
  gcePersistentDisk: (source, path) =>
    validateGcePersistentDisk(source, path.replace(/gcePersistentDisk$/, "persistentDisk")),
  awsElasticBlockStore: validateAwsElasticBlockStore,
  secret: (source, path) => [
    ...checkPresent(source, path, "secretName"),
    ...checkMode(source.defaultMode, `${path}.defaultMode`),
    ...(source.items ?? []).flatMap((item, i) => validateKeyToPath(item, `${path}.items[${i}]`)),
  ],
  nfs: validateNfs,
  iscsi: validateIscsi,
  glusterfs: (source, path) => checkPresent(source, path, "endpoints", "path"),
  flocker: validateFlocker,
  persistentVolumeClaim: (source, path) => checkPresent(source, path, "claimName"),
  rbd: (source, path) => checkPresent(source, path, "monitors", "image"),
  cinder: (source, path) => [...checkPresent(source, path, "volumeID"), ...checkSecretName(source.secretRef, path)],
  cephfs: (source, path) => checkPresent(source, path, "monitors"),
  quobyte: validateQuobyte,
  downwardAPI: ({ defaultMode, items = [] }, path) => [
    ...checkMode(defaultMode, `${path}.defaultMode`),
    ...items.flatMap((item) => validateDownwardFile(item, path)),
  ],
  fc: validateFc,
  flexVolume: validateFlexVolume,
  configMap: (source, path) => [
    ...checkPresent(source, path, "name"),
    ...checkMode(source.defaultMode, `${path}.defaultMode`),
    ...(source.items ?? []).flatMap((item, i) => validateKeyToPath(item, `${path}.items[${i}]`)),
  ],
  azureFile: (source, path) => checkPresent(source, path, "secretName", "shareName"),
  vsphereVolume: (source, path) => checkPresent(source, path, "volumePath"),
  photonPersistentDisk: (source, path) => checkPresent(source, path, "pdID"),
  portworxVolume: (source, path) => checkPresent(source, path, "volumeID"),
  azureDisk: validateAzureDisk,
  storageos: validateStorageOs,
  projected: (source, path, { allowOddTokenPath }) => validateProjected(source, path, { allowOddTokenPath }),
  scaleIO: (source, path) => checkPresent(source, path, "gateway", "system", "volumeName"),
  csi: ({ driver, nodePublishSecretRef: secret }, path) => [
    ...checkCsiDriverName(driver, `${path}.driver`),
    ...(secret === undefined ? [] : secret.name ? [] : [required(`${path}.nodePublishSecretRef.name`)]),
    ...(secret?.name ? isDns1123Subdomain(secret.name).map((text) => invalid(`${path}.name`, secret.name, text)) : []),
  ],
  ephemeral: validateEphemeral,
  image: ({ reference, pullPolicy }, path, { isPod }) => [
    ...(isPod && !reference ? [required(`${path}.reference`)] : []),
    ...checkWord(pullPolicy, `${path}.pullPolicy`, ["Always", "IfNotPresent", "Never"]),
  ],
};
const TYPES = Object.keys(CHECKS) as readonly VolumeType[];

/** The names under which a second type is refused, where they aren't the field's. */
const SECOND_NAMES: Readonly<Record<string, string>> = { downwardAPI: "downwarAPI", cephfs: "cephFS" };

/** The volumes without errors, by name: only those count for mounts. */
export type KnownVolumes = ReadonlyMap<string, Volume>;

export function validateVolumes(
  volumes: readonly Volume[],
  path: string,
  rules: PodRules,
): { readonly errors: readonly FieldError[]; readonly known: KnownVolumes } {
  const errors: FieldError[] = [];
  const known = new Map<string, Volume>();
  const made = new Set(
    volumes
      .filter(({ ephemeral }) => ephemeral !== undefined && rules.podName)
      .map(({ name }) => `${rules.podName}-${name}`),
  );
  for (const [i, volume] of volumes.entries()) {
    const at = `${path}[${i}]`;
    const own = validateSource(volume, at, rules);
    own.push(...checkRequiredText(volume.name, `${at}.name`, isDns1123Label));
    if (known.has(volume.name)) own.push(duplicate(`${at}.name`, volume.name));
    if (own.length === 0) known.set(volume.name, volume);
    const claim = volume.persistentVolumeClaim?.claimName;
    if (claim !== undefined && made.has(claim))
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

function validateSource(volume: Volume, path: string, rules: PodRules): FieldError[] {
  const [first, ...others] = TYPES.filter((type) => volume[type] !== undefined);
  if (first === undefined) return [required(path, "must specify a volume type")];
  const check = CHECKS[first] as Check<VolumeType>;
  return [
    ...check(volume[first]!, `${path}.${first}`, rules, volume),
    ...others.map((type) =>
      fieldForbidden(`${path}.${SECOND_NAMES[type] ?? type}`, "may not specify more than 1 volume type"),
    ),
    ...checkInitiator(volume, path),
  ];
}

function checkInitiator({ name, iscsi }: Volume, path: string): FieldError[] {
  if (iscsi?.initiatorName === undefined || Buffer.byteLength(`${name}:${iscsi.targetPortal}`) <= 64) return [];
  const words =
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
  return [invalid(`${path}.name`, name, words)];
}

/** The claim is made for the pod, under a name of both. */
function validateEphemeral(
  { volumeClaimTemplate: template }: EphemeralVolumeSource,
  path: string,
  { podName }: PodRules,
  { name }: Volume,
): FieldError[] {
  const claim = `${podName}-${name}`;
  return [
    ...(template === undefined
      ? [required(`${path}.volumeClaimTemplate`)]
      : [
          ...validateTemplateMeta(template.metadata, `${path}.volumeClaimTemplate.metadata`),
          ...validateClaimSpec(template.spec, `${path}.volumeClaimTemplate.spec`),
        ]),
    ...(podName && name
      ? isDns1123Subdomain(claim).map((message) =>
          invalid(path.replace(/ephemeral$/, "name"), name, `PVC name "${claim}": ${message}`),
        )
      : []),
  ];
}
