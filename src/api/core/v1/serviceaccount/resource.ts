/** Upstream: pkg/registry/core/serviceaccount */
import type { Mutable } from "../../../../base/mutable.ts";
import { ageColumn, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ServiceAccount } from "../../../generated/core.v1.ts";

const MOUNTABLE = "kubernetes.io/enforce-mountable-secrets";

export const serviceAccounts = defineResource<ServiceAccount>({
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  behaviour: {
    prepareForCreate: nameSecretsOnly,
    prepareForUpdate: nameSecretsOnly,
    warnings: ({ metadata }, old) =>
      metadata.annotations?.[MOUNTABLE] !== undefined && old?.metadata.annotations?.[MOUNTABLE] === undefined
        ? [
            `metadata.annotations[${MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`,
          ]
        : [],
  },
  columns: [nameColumn, ageColumn],
});

/** A reference to a secret is its name: the namespace is the account's own. */
function nameSecretsOnly(account: Mutable<ServiceAccount>): void {
  if (account.secrets !== undefined) account.secrets = account.secrets.map(({ name }) => ({ name: name ?? "" }));
}
