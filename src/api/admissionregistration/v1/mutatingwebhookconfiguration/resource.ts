/** Upstream: pkg/apis/admissionregistration/v1, pkg/registry/admissionregistration/mutatingwebhookconfiguration */
import type { MutatingWebhookConfiguration } from "../../../generated/admissionregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const mutatingWebhookConfigurations = defineResource<MutatingWebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingWebhookConfiguration",
});
