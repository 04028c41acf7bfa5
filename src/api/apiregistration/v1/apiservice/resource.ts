/** Upstream: pkg/apis/apiregistration/v1, pkg/registry/apiregistration/apiservice */
import type { APIService } from "../../../generated/apiregistration.v1.ts";
import { defineResource } from "../../../define.ts";

export const apiServices = defineResource<APIService>({
  group: "apiregistration.k8s.io",
  version: "v1",
  kind: "APIService",
});
