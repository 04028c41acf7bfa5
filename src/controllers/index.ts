/** All controllers, by upstream's names, in upstream's order. Upstream: cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors) */
import type { ControllerDefinition } from "../client/controller.ts";
import { deploymentController } from "./deployment/controller.ts";
import { endpointsController } from "./endpoints/controller.ts";
import { endpointSliceController } from "./endpointslice/controller.ts";
import { garbageCollector } from "./garbage-collector/controller.ts";
import { namespaceController } from "./namespace/controller.ts";
import { replicaSetController } from "./replicaset/controller.ts";
import { rootCaPublisher } from "./root-ca-certificate-publisher/controller.ts";
import { serviceAccountTokenController } from "./serviceaccount-token/controller.ts";
import { serviceAccountController } from "./serviceaccount/controller.ts";

export const CONTROLLERS: readonly ControllerDefinition[] = [
  // The others may need what it makes.
  serviceAccountTokenController,
  endpointsController,
  endpointSliceController,
  namespaceController,
  serviceAccountController,
  garbageCollector,
  deploymentController,
  replicaSetController,
  rootCaPublisher,
];

/** Known, and run only when `--controllers` names them. */
export const OFF_BY_DEFAULT: ReadonlySet<string> = new Set([
  "bootstrap-signer-controller",
  "token-cleaner-controller",
  "selinux-warning-controller",
]);
