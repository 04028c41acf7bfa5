/** What both kinds of webhook configurations have in common. Upstream: pkg/apis/admissionregistration/v1/defaults.go */
import type { Mutable } from "../../../base/mutable.ts";
import { ifAbsent } from "../../defaulting.ts";
import type { MutatingWebhook, ValidatingWebhook } from "../../generated/admissionregistration.v1.ts";
import { defaultRules } from "../policy.ts";

export function defaultWebhook(webhook: Mutable<MutatingWebhook | ValidatingWebhook>): void {
  ifAbsent(webhook, "failurePolicy", "Fail");
  ifAbsent(webhook, "matchPolicy", "Equivalent");
  ifAbsent(webhook, "namespaceSelector", {});
  ifAbsent(webhook, "objectSelector", {});
  ifAbsent(webhook, "timeoutSeconds", 10);
  if (webhook.clientConfig?.service !== undefined) ifAbsent(webhook.clientConfig.service, "port", 443);
  defaultRules(webhook.rules);
}
