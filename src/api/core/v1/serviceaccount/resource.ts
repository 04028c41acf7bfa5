/** Upstream: pkg/apis/core/v1, pkg/registry/core/serviceaccount */
import type { ServiceAccount } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const serviceAccounts = defineResource<ServiceAccount>({ group: "", version: "v1", kind: "ServiceAccount" });
