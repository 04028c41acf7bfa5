/** Upstream: pkg/apis/apiextensions/v1, pkg/registry/apiextensions/customresourcedefinition */
import type { CustomResourceDefinition } from "../../../generated/apiextensions.v1.ts";
import { defineResource } from "../../../define.ts";

export const customResourceDefinitions = defineResource<CustomResourceDefinition>({
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
});
