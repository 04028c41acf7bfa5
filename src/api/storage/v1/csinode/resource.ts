/** Upstream: pkg/apis/storage/v1, pkg/registry/storage/csinode */
import type { CSINode } from "../../../generated/storage.v1.ts";
import { defineResource } from "../../../define.ts";

export const csiNodes = defineResource<CSINode>({ group: "storage.k8s.io", version: "v1", kind: "CSINode" });
