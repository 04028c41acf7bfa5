/** Upstream: pkg/apis/apiserverinternal/v1alpha1, pkg/registry/apiserverinternal/storageversion */
import type { StorageVersion } from "../../../generated/apiserverinternal.v1alpha1.ts";
import { defineResource } from "../../../define.ts";

export const storageVersions = defineResource<StorageVersion>({
  group: "internal.apiserver.k8s.io",
  version: "v1alpha1",
  kind: "StorageVersion",
});
