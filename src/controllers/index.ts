/** All controllers, by upstream's names, in upstream's order. Upstream: cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors) */
import type { ControllerDefinition } from "../client/controller.ts";
import { deploymentController } from "./deployment/controller.ts";
import { replicaSetController } from "./replicaset/controller.ts";

export const CONTROLLERS: readonly ControllerDefinition[] = [replicaSetController, deploymentController];

/** Known, and run only when `--controllers` names them. */
export const OFF_BY_DEFAULT: ReadonlySet<string> = new Set([
  "bootstrap-signer-controller",
  "token-cleaner-controller",
  "selinux-warning-controller",
]);
