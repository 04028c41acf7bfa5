/** Upstream: pkg/apis/admissionregistration/v1/defaults.go, pkg/registry/admissionregistration/mutatingwebhookconfiguration */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource, nextGeneration } from "../../../define.ts";
import type { MutatingWebhookConfiguration } from "../../../generated/admissionregistration.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateWebhooks, validateWebhooksUpdate } from "../validation.ts";
import { defaultWebhook } from "../webhook.ts";
import { withStaticNames } from "../../static-names.ts";

export const mutatingWebhookConfigurations = defineResource<MutatingWebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingWebhookConfiguration",
  behaviour: withStaticNames<MutatingWebhookConfiguration>({
    defaults({ webhooks }) {
      for (const webhook of webhooks ?? []) {
        defaultWebhook(webhook);
        ifAbsent(webhook, "reinvocationPolicy", "Never");
      }
    },
    prepareForUpdate(configuration, old) {
      if (!semanticEqual(configuration.webhooks, old.webhooks)) nextGeneration(configuration, old);
    },
    validate: validateWebhooks,
    validateUpdate: validateWebhooksUpdate,
  }),
  columns: [nameColumn, column("Webhooks", "integer", ({ webhooks }) => (webhooks ?? []).length), ageColumn],
});
