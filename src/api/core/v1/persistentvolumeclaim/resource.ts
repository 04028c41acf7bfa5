/** Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/persistentvolumeclaim */
import type { Mutable } from "../../../../base/mutable.ts";
import type { HookContext } from "../../../../machinery/resource.ts";
import { ageColumn, column, nameColumn, wide } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "../../../generated/core.v1.ts";
import { accessModesText, storageClassOf } from "./columns.ts";
import { defaultClaim } from "./defaults.ts";
import { validateClaim, validateClaimStatusUpdate, validateClaimUpdate } from "./validation.ts";
import { claimWarnings } from "../persistentvolume/warnings.ts";

export const persistentVolumeClaims = defineResource<PersistentVolumeClaim>({
  group: "",
  version: "v1",
  kind: "PersistentVolumeClaim",
  behaviour: {
    defaults: defaultClaim,
    prepareForCreate(claim, context) {
      claim.status = { phase: "Pending" };
      dropForeignSource(claim.spec, context);
      dropUnknownDataSource(claim.spec);
      mirrorDataSource(claim.spec);
    },
    prepareForUpdate(claim, old, context) {
      if (old.spec.dataSourceRef === undefined) dropForeignSource(claim.spec, context);
      if (old.spec.dataSource === undefined && old.spec.dataSourceRef === undefined) dropUnknownDataSource(claim.spec);
      mirrorDataSource(claim.spec);
    },
    validate: validateClaim,
    validateUpdate: validateClaimUpdate,
    warnings: claimWarnings,
  },
  views: { status: { validateUpdate: validateClaimStatusUpdate } },
  columns: [
    nameColumn,
    column("Status", "string", ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined ? (status?.phase ?? "") : "Terminating",
    ),
    column("Volume", "string", ({ spec }) => spec.volumeName ?? ""),
    column("Capacity", "string", ({ spec, status }) => (spec.volumeName ? (status?.capacity?.["storage"] ?? "0") : "")),
    column("Access Modes", "string", ({ spec, status }) =>
      spec.volumeName ? accessModesText(status?.accessModes) : "",
    ),
    column("StorageClass", "string", storageClassOf),
    column("VolumeAttributesClass", "string", ({ spec }) => spec.volumeAttributesClassName || "<unset>"),
    ageColumn,
    wide("VolumeMode", "string", ({ spec }) => spec.volumeMode ?? "<unset>"),
  ],
});

/** A source in another namespace needs a grant there, which is a feature of its own. */
function dropForeignSource(spec: Mutable<PersistentVolumeClaimSpec>, { featureGates }: HookContext): void {
  if (spec?.dataSourceRef?.namespace && featureGates.get("CrossNamespaceVolumeDataSource") !== true)
    delete spec.dataSourceRef;
}

/** `dataSource` knows two kinds of source; others need `dataSourceRef`. */
function dropUnknownDataSource(spec: Mutable<PersistentVolumeClaimSpec>): void {
  const source = spec.dataSource;
  if (source === undefined || spec.dataSourceRef !== undefined) return;
  const known =
    (source.kind === "PersistentVolumeClaim" && !source.apiGroup) ||
    (source.kind === "VolumeSnapshot" && source.apiGroup === "snapshot.storage.k8s.io");
  if (!known) delete spec.dataSource;
}

/** The old and the new field for the same thing say the same. */
function mirrorDataSource(spec: Mutable<PersistentVolumeClaimSpec>): void {
  if (spec.dataSource !== undefined && spec.dataSourceRef === undefined) spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSourceRef !== undefined && !spec.dataSourceRef.namespace && spec.dataSource === undefined) {
    const { apiGroup, kind, name } = spec.dataSourceRef;
    spec.dataSource = { ...(apiGroup !== undefined && { apiGroup }), kind, name };
  }
}
