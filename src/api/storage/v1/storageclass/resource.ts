/** Upstream: pkg/apis/storage/v1/defaults.go, pkg/registry/storage/storageclass */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { GONE_LABELS } from "../../../core/v1/pod/warnings.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { StorageClass } from "../../../generated/storage.v1.ts";
import { validateStorageClass, validateStorageClassUpdate } from "./validation.ts";

const DEFAULT_ANNOTATIONS = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

export const storageClasses = defineResource<StorageClass>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  behaviour: {
    defaults(storageClass) {
      ifAbsent(storageClass, "reclaimPolicy", "Delete");
      ifAbsent(storageClass, "volumeBindingMode", "Immediate");
    },
    validate: validateStorageClass,
    validateUpdate: validateStorageClassUpdate,
    warnings: ({ allowedTopologies = [] }) =>
      allowedTopologies.flatMap(({ matchLabelExpressions = [] }, i) =>
        matchLabelExpressions.flatMap(({ key }, j) =>
          key in GONE_LABELS ? [`allowedTopologies[${i}].matchLabelExpressions[${j}].key: ${GONE_LABELS[key]}`] : [],
        ),
      ),
  },
  columns: [
    {
      ...nameColumn,
      cell: ({ metadata }) => `${metadata.name}${isDefaultClass(metadata.annotations) ? " (default)" : ""}`,
    },
    column("Provisioner", "string", ({ provisioner }) => provisioner ?? ""),
    column("ReclaimPolicy", "string", ({ reclaimPolicy }) => reclaimPolicy ?? "Delete"),
    column("VolumeBindingMode", "string", ({ volumeBindingMode }) => volumeBindingMode ?? "Immediate"),
    column("AllowVolumeExpansion", "string", ({ allowVolumeExpansion }) => allowVolumeExpansion === true),
    ageColumn,
  ],
});

function isDefaultClass(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return DEFAULT_ANNOTATIONS.some((name) => annotations?.[name] === "true");
}
