/** Upstream: pkg/apis/admissionregistration/v1/defaults.go, pkg/registry/admissionregistration/validatingwebhookconfiguration */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource, nextGeneration } from "../../../define.ts";
import type { ValidatingWebhookConfiguration } from "../../../generated/admissionregistration.v1.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateWebhooks, validateWebhooksUpdate } from "../validation.ts";
import { defaultWebhook } from "../webhook.ts";
import { withStaticNames } from "../../static-names.ts";

export const validatingWebhookConfigurations = defineResource<ValidatingWebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
  behaviour: withStaticNames<ValidatingWebhookConfiguration>({
    defaults({ webhooks }) {
      for (const webhook of webhooks ?? []) {
        defaultWebhook(webhook);
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
