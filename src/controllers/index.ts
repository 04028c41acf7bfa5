/** All controllers, by upstream's names, in upstream's order. Upstream: cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors) */
import type { ControllerDefinition } from "../client/controller.ts";
import { tokenCleanerController } from "./bootstrap/cleaner.ts";
import { bootstrapSignerController } from "./bootstrap/signer.ts";
import { certificateApprovingController } from "./certificates/approving.ts";
import { certificateCleanerController } from "./certificates/cleaner.ts";
import { certificateSigningController } from "./certificates/signing.ts";
import { clusterRoleAggregationController } from "./clusterrole-aggregation/controller.ts";
import { clusterTrustBundlePublisher } from "./clustertrustbundle-publisher/controller.ts";
import { cronJobController } from "./cronjob/controller.ts";
import { daemonSetController } from "./daemonset/controller.ts";
import { deploymentController } from "./deployment/controller.ts";
import { disruptionController } from "./disruption/controller.ts";
import { endpointsController } from "./endpoints/controller.ts";
import { endpointSliceMirroringController } from "./endpointslice-mirroring/controller.ts";
import { endpointSliceController } from "./endpointslice/controller.ts";
import { ephemeralVolumeController } from "./ephemeral-volume/controller.ts";
import { garbageCollector } from "./garbage-collector/controller.ts";
import { horizontalPodAutoscalerController } from "./horizontal-pod-autoscaler/controller.ts";
import { jobController } from "./job/controller.ts";
import { namespaceController } from "./namespace/controller.ts";
import { nodeIpamController } from "./node-ipam/controller.ts";
import { nodeLifecycleController } from "./node-lifecycle/controller.ts";
import { persistentVolumeBinder } from "./persistentvolume-binder/controller.ts";
import { podGarbageCollector } from "./pod-garbage-collector/controller.ts";
import { replicaSetController } from "./replicaset/controller.ts";
import { replicationControllerController } from "./replicationcontroller/controller.ts";
import { resourceQuotaController } from "./resourcequota/controller.ts";
import { rootCaPublisher } from "./root-ca-certificate-publisher/controller.ts";
import { serviceAccountTokenController } from "./serviceaccount-token/controller.ts";
import { serviceAccountController } from "./serviceaccount/controller.ts";
import { serviceCidrController } from "./servicecidr/controller.ts";
import { statefulSetController } from "./statefulset/controller.ts";
import { taintEvictionController } from "./taint-eviction/controller.ts";
import { ttlAfterFinishedController } from "./ttl-after-finished/controller.ts";
import { ttlController } from "./ttl/controller.ts";
import { validatingAdmissionPolicyStatusController } from "./validatingadmissionpolicy-status/controller.ts";
import { attributesClassProtectionController } from "./volume-protection/attributes-classes.ts";
import { claimProtectionController } from "./volume-protection/claims.ts";
import { volumeProtectionController } from "./volume-protection/volumes.ts";

export const CONTROLLERS: readonly ControllerDefinition[] = [
  // The others may need what it makes.
  serviceAccountTokenController,
  endpointsController,
  endpointSliceController,
  endpointSliceMirroringController,
  replicationControllerController,
  podGarbageCollector,
  resourceQuotaController,
  namespaceController,
  serviceAccountController,
  garbageCollector,
  daemonSetController,
  jobController,
  deploymentController,
  replicaSetController,
  horizontalPodAutoscalerController,
  disruptionController,
  statefulSetController,
  cronJobController,
  certificateSigningController,
  certificateApprovingController,
  certificateCleanerController,
  ttlController,
  bootstrapSignerController,
  tokenCleanerController,
  nodeIpamController,
  nodeLifecycleController,
  taintEvictionController,
  persistentVolumeBinder,
  clusterRoleAggregationController,
  claimProtectionController,
  volumeProtectionController,
  attributesClassProtectionController,
  ttlAfterFinishedController,
  rootCaPublisher,
  clusterTrustBundlePublisher,
  ephemeralVolumeController,
  serviceCidrController,
  validatingAdmissionPolicyStatusController,
];

/** Those that run where a feature gate is on. */
export const GATED: ReadonlyMap<string, string> = new Map([[clusterTrustBundlePublisher.name, "ClusterTrustBundle"]]);

/** Known, and run only when `--controllers` names them. */
export const OFF_BY_DEFAULT: ReadonlySet<string> = new Set([
  "bootstrap-signer-controller",
  "token-cleaner-controller",
  "selinux-warning-controller",
]);
