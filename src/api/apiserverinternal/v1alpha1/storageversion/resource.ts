/** Upstream: pkg/registry/apiserverinternal/storageversion */
import { ageColumn, column, firstThree, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { StorageVersion } from "../../../generated/apiserverinternal.v1alpha1.ts";
import { storageVersionName, validateStorageVersion } from "./validation.ts";

export const storageVersions = defineResource<StorageVersion>({
  group: "internal.apiserver.k8s.io",
  version: "v1alpha1",
  kind: "StorageVersion",
  behaviour: { validate: validateStorageVersion, validateUpdate: () => [] },
  views: { status: { validateUpdate: validateStorageVersion } },
  nameRule: storageVersionName,
  columns: [
    nameColumn,
    column("CommonEncodingVersion", "string", ({ status }) => status?.commonEncodingVersion ?? "<unset>"),
    column("StorageVersions", "string", ({ status }) => {
      const versions = status?.storageVersions ?? [];
      if (versions.length === 0) return "<unset>";
      return firstThree(versions.map(({ apiServerID, encodingVersion }) => `${apiServerID}=${encodingVersion}`));
    }),
    ageColumn,
  ],
});
