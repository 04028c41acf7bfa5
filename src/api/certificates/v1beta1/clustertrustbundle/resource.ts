/** Upstream: pkg/registry/certificates/clustertrustbundle */
import { column, nameColumn, orNone } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ClusterTrustBundle } from "../../../generated/certificates.v1beta1.ts";
import { validateTrustBundle } from "./validation.ts";

export const clusterTrustBundles = defineResource<ClusterTrustBundle>({
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "ClusterTrustBundle",
  selectableFields: { "spec.signerName": ({ spec }) => spec?.signerName ?? "" },
  // A bundle of a signer is named after it, colons and all.
  // The signer has a say in the name, so the kind's own rules look at it.
  nameRule: () => [],
  behaviour: {
    validate: (bundle) => validateTrustBundle(bundle),
    validateUpdate: (bundle, old) => validateTrustBundle(bundle, old),
  },
  columns: [nameColumn, column("SignerName", "string", ({ spec }) => orNone(spec?.signerName))],
});
