/** Upstream: pkg/api/persistentvolume/util.go, pkg/api/persistentvolumeclaim/util.go */
import type { PersistentVolume, PersistentVolumeClaim } from "../../../generated/core.v1.ts";
import { fractionWarnings, nodeTermWarnings } from "../pod/warnings.ts";

const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";
const OPTIONS_ANNOTATION = "volume.beta.kubernetes.io/mount-options";
const CLASS_WARNING = `metadata.annotations[${CLASS_ANNOTATION}]: deprecated since v1.8; use "storageClassName" attribute instead`;

export function volumeWarnings({ metadata, spec }: PersistentVolume): readonly string[] {
  return [
    ...(metadata.annotations?.[CLASS_ANNOTATION] === undefined ? [] : [CLASS_WARNING]),
    ...(metadata.annotations?.[OPTIONS_ANNOTATION] === undefined
      ? []
      : [`metadata.annotations[${OPTIONS_ANNOTATION}]: deprecated since v1.31; use "mountOptions" attribute instead`]),
    ...(spec?.persistentVolumeReclaimPolicy === "Recycle"
      ? [
          "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
        ]
      : []),
    ...(spec?.nodeAffinity?.required?.nodeSelectorTerms ?? []).flatMap((term, i) =>
      nodeTermWarnings(term, `spec.nodeAffinity.required.nodeSelectorTerms[${i}]`, false),
    ),
    ...GONE_SOURCES.filter(([source]) => spec?.[source] !== undefined).map(
      ([source, words]) => `spec.${source === "storageos" ? "storageOS" : source}: ${words}`,
    ),
  ];
}

const GONE_SOURCES = [
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
] as const;

export function claimWarnings({ metadata, spec }: PersistentVolumeClaim): readonly string[] {
  return [
    ...(metadata.annotations?.[CLASS_ANNOTATION] === undefined ? [] : [CLASS_WARNING]),
    ...fractionWarnings(spec?.resources?.requests, "spec.resources.requests", ["storage"]),
    ...fractionWarnings(spec?.resources?.limits, "spec.resources.limits", ["storage"]),
  ];
}
