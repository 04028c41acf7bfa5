/** Upstream: pkg/apis/core/validation (ValidateConfigMap), pkg/registry/core/configmap */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ConfigMap } from "../../../generated/core.v1.ts";
import { size, validateConfigMap, validateConfigMapUpdate } from "./validation.ts";

export const configMaps = defineResource<ConfigMap>({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  behaviour: { validate: validateConfigMap, validateUpdate: validateConfigMapUpdate },
  columns: [nameColumn, column("Data", "string", ({ data, binaryData }) => size(data) + size(binaryData)), ageColumn],
});
