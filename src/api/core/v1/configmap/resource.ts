/** Upstream: pkg/apis/core/v1, pkg/registry/core/configmap */
import type { ConfigMap } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const configMaps = defineResource<ConfigMap>({ group: "", version: "v1", kind: "ConfigMap" });
