/** Upstream: pkg/apis/storage/v1, pkg/registry/storage/csistoragecapacity */
import { GONE_LABELS, nodeTermWarnings } from "../../../core/v1/pod/warnings.ts";
import type { NodeSelectorTerm } from "../../../generated/core.v1.ts";
import type { CSIStorageCapacity } from "../../../generated/storage.v1.ts";
import { defineResource } from "../../../define.ts";
import { validateCapacity, validateCapacityUpdate } from "../validation.ts";

export const csiStorageCapacities = defineResource<CSIStorageCapacity>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIStorageCapacity",
  behaviour: {
    validate: validateCapacity,
    validateUpdate: validateCapacityUpdate,
    warnings: ({ nodeTopology }) => [
      ...nodeTermWarnings((nodeTopology ?? {}) as NodeSelectorTerm, "nodeTopology", false),
      ...Object.keys(nodeTopology?.matchLabels ?? {})
        .filter((label) => label in GONE_LABELS)
        .map((label) => `nodeTopology.matchLabels.${label}: ${GONE_LABELS[label]}`),
    ],
  },
});
