/** Upstream: pkg/apis/certificates/v1alpha1, pkg/registry/certificates/clustertrustbundle */
import type { ClusterTrustBundle } from "../../../generated/certificates.v1alpha1.ts";
import { defineResource } from "../../../define.ts";

export const clusterTrustBundles = defineResource<ClusterTrustBundle>({
  group: "certificates.k8s.io",
  version: "v1alpha1",
  kind: "ClusterTrustBundle",
});
