/** Upstream: pkg/apis/storage/v1/defaults.go, pkg/registry/storage/csidriver */
import { ageColumn, column, nameColumn, orNone } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { CSIDriver } from "../../../generated/storage.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateDriver, validateDriverUpdate } from "../validation.ts";

export const csiDrivers = defineResource<CSIDriver>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIDriver",
  behaviour: {
    defaults({ spec }) {
      ifAbsent(spec, "attachRequired", true);
      ifAbsent(spec, "podInfoOnMount", false);
      ifAbsent(spec, "storageCapacity", false);
      ifAbsent(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
      if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ["Persistent"];
      ifAbsent(spec, "requiresRepublish", false);
      ifAbsent(spec, "seLinuxMount", false);
    },
    prepareForCreate({ spec }, { featureGates }) {
      if (featureGates.get("VolumeLimitScaling") === true) ifAbsent(spec, "preventPodSchedulingIfMissing", false);
      else delete spec.preventPodSchedulingIfMissing;
    },
    prepareForUpdate({ spec }, old, { featureGates }) {
      if (featureGates.get("VolumeLimitScaling") === true) ifAbsent(spec, "preventPodSchedulingIfMissing", false);
      else if (old.spec.preventPodSchedulingIfMissing === undefined) delete spec.preventPodSchedulingIfMissing;
    },
    validate: validateDriver,
    validateUpdate: validateDriverUpdate,
    warnings: ({ spec }, old) =>
      (spec.tokenRequests ?? []).length > 0 &&
      spec.serviceAccountTokenInSecrets === undefined &&
      (old === undefined || !semanticEqual(old.spec.tokenRequests, spec.tokenRequests))
        ? [
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes",
          ]
        : [],
  },
  columns: [
    nameColumn,
    column("AttachRequired", "boolean", ({ spec }) => spec.attachRequired ?? true),
    column("PodInfoOnMount", "boolean", ({ spec }) => spec.podInfoOnMount ?? false),
    column("StorageCapacity", "boolean", ({ spec }) => spec.storageCapacity ?? false),
    column("TokenRequests", "string", ({ spec }) =>
      spec.tokenRequests === undefined ? "<unset>" : spec.tokenRequests.map(({ audience }) => audience).join(","),
    ),
    column("RequiresRepublish", "boolean", ({ spec }) => spec.requiresRepublish ?? false),
    column("Modes", "string", ({ spec }) => orNone((spec.volumeLifecycleModes ?? []).join(","))),
    ageColumn,
  ],
});
