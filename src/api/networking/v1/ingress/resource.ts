/** Upstream: pkg/apis/networking/v1, pkg/registry/networking/ingress */
import type { Ingress } from "../../../generated/networking.v1.ts";
import { defineResource } from "../../../define.ts";

export const ingresses = defineResource<Ingress>({ group: "networking.k8s.io", version: "v1", kind: "Ingress" });
