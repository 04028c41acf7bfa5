/** Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/persistentvolume */
import { ageColumn, column, nameColumn, wide } from "../../../columns.ts";
import { ifAbsent, ifEmpty, roundResourceList } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PersistentVolume } from "../../../generated/core.v1.ts";
import { accessModesText, storageClassOf } from "../persistentvolumeclaim/columns.ts";
import { defaultVolumeSource } from "../pod/defaults.ts";
import {
  validatePersistentVolume,
  validatePersistentVolumeStatus,
  validatePersistentVolumeUpdate,
} from "./validation.ts";
import { volumeWarnings } from "./warnings.ts";

export const persistentVolumes = defineResource<PersistentVolume>({
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  behaviour: {
    defaults(volume) {
      ifAbsent(volume, "status", {});
      ifEmpty(volume.status, "phase", "Pending");
      const spec = volume.spec;
      if (spec === undefined) return;
      ifEmpty(spec, "persistentVolumeReclaimPolicy", "Retain");
      ifAbsent(spec, "volumeMode", "Filesystem");
      roundResourceList(spec.capacity);
      if (spec.hostPath !== undefined) ifAbsent(spec.hostPath, "type", "");
      defaultVolumeSource(spec);
    },
    prepareForCreate(volume, { now }) {
      volume.status = { phase: "Pending", lastPhaseTransitionTime: now };
    },
    validate: validatePersistentVolume,
    validateUpdate: validatePersistentVolumeUpdate,
    warnings: volumeWarnings,
  },
  views: {
    status: {
      validateUpdate: validatePersistentVolumeStatus,
      prepareForUpdate(volume, old, { now }) {
        const status = (volume.status ??= {});
        const before = old.status?.lastPhaseTransitionTime;
        if (status.phase === old.status?.phase) {
          if (status.lastPhaseTransitionTime === undefined && before !== undefined)
            status.lastPhaseTransitionTime = before;
        } else if (status.lastPhaseTransitionTime === undefined || status.lastPhaseTransitionTime === before)
          status.lastPhaseTransitionTime = now;
      },
    },
  },
  columns: [
    nameColumn,
    column("Capacity", "string", ({ spec }) => spec.capacity?.["storage"] ?? "0"),
    column("Access Modes", "string", ({ spec }) => accessModesText(spec.accessModes)),
    column("Reclaim Policy", "string", ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ""),
    column("Status", "string", ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined ? (status?.phase ?? "") : "Terminating",
    ),
    column("Claim", "string", ({ spec }) =>
      spec.claimRef === undefined ? "" : `${spec.claimRef.namespace ?? ""}/${spec.claimRef.name ?? ""}`,
    ),
    column("StorageClass", "string", storageClassOf),
    column("VolumeAttributesClass", "string", ({ spec }) => spec.volumeAttributesClassName || "<unset>"),
    column("Reason", "string", ({ status }) => status?.reason ?? ""),
    ageColumn,
    wide("VolumeMode", "string", ({ spec }) => spec.volumeMode ?? "<unset>"),
  ],
});
