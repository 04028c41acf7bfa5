/**
 * The plugins in the order they run. Webhooks come late, so that they see what the others made of an object; quota comes last, so that it charges only for
 * what nobody else refuses. Upstream: pkg/kubeapiserver/options/plugins.go.
 */
import type { AdmissionPlugin } from "../framework.ts";
import { defaultTolerationSeconds } from "./default-toleration-seconds.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { nodeRestriction } from "./node-restriction.ts";
import { podSecurity } from "./pod-security.ts";
import { priority } from "./priority.ts";
import { resourceQuota } from "./resource-quota.ts";
import { serviceAccount } from "./service-account.ts";
import {
  alwaysAdmit,
  alwaysDeny,
  alwaysPullImages,
  certificateApproval,
  certificateSigning,
  defaultIngressClass,
  defaultStorageClass,
  denyServiceExternalIps,
  persistentVolumeClaimResize,
  podTopologyLabels,
  runtimeClass,
  storageObjectInUseProtection,
  taintNodesByCondition,
} from "./small.ts";
import { mutatingWebhook, validatingWebhook } from "./webhooks.ts";

export const plugins: readonly AdmissionPlugin[] = [
  alwaysAdmit,
  namespaceLifecycle,
  limitRanger,
  serviceAccount,
  nodeRestriction,
  taintNodesByCondition,
  alwaysPullImages,
  podSecurity,
  priority,
  defaultTolerationSeconds,
  defaultStorageClass,
  storageObjectInUseProtection,
  persistentVolumeClaimResize,
  runtimeClass,
  certificateApproval,
  certificateSigning,
  defaultIngressClass,
  denyServiceExternalIps,
  podTopologyLabels,
  mutatingWebhook,
  validatingWebhook,
  resourceQuota,
  alwaysDeny,
];

export function enabledPlugins(enable: readonly string[], disable: readonly string[]): readonly AdmissionPlugin[] {
  return plugins.filter(({ name, onByDefault }) => !disable.includes(name) && (onByDefault || enable.includes(name)));
}
