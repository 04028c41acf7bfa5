/** Upstream: pkg/apis/networking/v1, pkg/registry/networking/ingressclass */
import type { IngressClass } from "../../../generated/networking.v1.ts";
import { defineResource } from "../../../define.ts";

export const ingressClasses = defineResource<IngressClass>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "IngressClass",
});
