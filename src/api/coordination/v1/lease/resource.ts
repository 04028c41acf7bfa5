/** Upstream: pkg/apis/coordination/v1, pkg/registry/coordination/lease */
import type { Lease } from "../../../generated/coordination.v1.ts";
import { defineResource } from "../../../define.ts";

export const leases = defineResource<Lease>({ group: "coordination.k8s.io", version: "v1", kind: "Lease" });
