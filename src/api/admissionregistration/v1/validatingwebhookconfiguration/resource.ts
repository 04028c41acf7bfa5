/** Upstream: pkg/apis/admissionregistration/v1, pkg/registry/admissionregistration/validatingwebhookconfiguration */
import type { ValidatingWebhookConfiguration } from "../../../generated/admissionregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const validatingWebhookConfigurations = defineResource<ValidatingWebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
});
