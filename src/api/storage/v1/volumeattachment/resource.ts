/** Upstream: pkg/apis/storage/v1, pkg/registry/storage/volumeattachment */
import type { VolumeAttachment } from "../../../generated/storage.v1.ts";
import { defineResource } from "../../../define.ts";

export const volumeAttachments = defineResource<VolumeAttachment>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttachment",
});
