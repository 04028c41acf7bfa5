/** Upstream: pkg/apis/certificates/v1beta1, pkg/registry/certificates/clustertrustbundle */
import type { ClusterTrustBundle } from "../../../generated/certificates.v1beta1.ts";
import { defineResource } from "../../../define.ts";

export const clusterTrustBundles = defineResource<ClusterTrustBundle>({
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "ClusterTrustBundle",
});
