/** Upstream: pkg/apis/core/v1, pkg/registry/core/podtemplate */
import type { PodTemplate } from "../../../generated/core.v1.ts";
import { defineResource } from "../../../define.ts";

export const podTemplates = defineResource<PodTemplate>({ group: "", version: "v1", kind: "PodTemplate" });
