/** Pods. Upstream: pkg/apis/core, pkg/registry/core/pod */
import { defineResource } from "../../../define.ts";
import type { Pod } from "../../../generated/core.v1.ts";
import { podColumns, podRowConditions } from "./columns.ts";
import { defaultPod } from "./defaults.ts";
import {
  canonicalizePod,
  ephemeralContainersView,
  preparePodForCreate,
  preparePodForUpdate,
  preparePodStatus,
  resizeView,
} from "./strategy.ts";
import { validateEphemeralContainersUpdate } from "./validation/ephemeral-containers.ts";
import { validatePod } from "./validation/pod.ts";
import { validateResize } from "./validation/resize.ts";
import { validatePodStatusUpdate } from "./validation/status.ts";
import { validatePodUpdate } from "./validation/update.ts";
import { podStatusWarnings, podWarnings } from "./warnings.ts";

export const pods = defineResource<Pod>({
  group: "",
  version: "v1",
  kind: "Pod",
  behaviour: {
    defaults: defaultPod,
    prepareForCreate: preparePodForCreate,
    prepareForUpdate: preparePodForUpdate,
    validate: validatePod,
    validateUpdate: validatePodUpdate,
    canonicalize: canonicalizePod,
    warnings: (pod, old) => (old === undefined ? podWarnings(pod) : []),
  },
  views: {
    status: {
      prepareForUpdate: preparePodStatus,
      validateUpdate: validatePodStatusUpdate,
      warnings: podStatusWarnings,
    },
    ephemeralcontainers: { ...ephemeralContainersView, validateUpdate: validateEphemeralContainersUpdate },
    resize: { ...resizeView, validateUpdate: validateResize },
  },
  columns: podColumns,
  rowConditions: podRowConditions,
  selectableFields: {
    "spec.nodeName": (pod) => pod.spec.nodeName ?? "",
    "spec.restartPolicy": (pod) => pod.spec.restartPolicy ?? "",
    "spec.schedulerName": (pod) => pod.spec.schedulerName ?? "",
    "spec.serviceAccountName": (pod) => pod.spec.serviceAccountName ?? "",
    "spec.hostNetwork": (pod) => String(pod.spec.hostNetwork === true),
    "status.phase": (pod) => pod.status?.phase ?? "",
    "status.podIP": (pod) => pod.status?.podIPs?.[0]?.ip ?? "",
    "status.podIPs": () => "",
    "status.nominatedNodeName": (pod) => pod.status?.nominatedNodeName ?? "",
  },
  gracefulDeletionSeconds(pod) {
    // Nobody runs it: nothing to wait for.
    if (!pod.spec.nodeName) return 0;
    if (pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded") return 0;
    const grace = pod.spec.terminationGracePeriodSeconds ?? 0;
    return grace < 0 ? 1 : grace;
  },
});
