/** Upstream: pkg/registry/storage/volumeattachment */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { roundResourceList } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import { defaultVolumeSource } from "../../../core/v1/pod/defaults.ts";
import type { VolumeAttachment } from "../../../generated/storage.v1.ts";
import { validateVolumeAttachment, validateVolumeAttachmentUpdate } from "../validation.ts";

export const volumeAttachments = defineResource<VolumeAttachment>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttachment",
  behaviour: {
    defaults({ spec }) {
      const inline = spec?.source?.inlineVolumeSpec;
      if (inline === undefined) return;
      roundResourceList(inline.capacity);
      if (inline.hostPath !== undefined) inline.hostPath.type ??= "";
      defaultVolumeSource(inline);
    },
    validate: validateVolumeAttachment,
    validateUpdate: validateVolumeAttachmentUpdate,
  },
  views: { status: { validateUpdate: validateVolumeAttachmentUpdate } },
  columns: [
    nameColumn,
    column("Attacher", "string", ({ spec }) => spec.attacher ?? "", { format: "name" }),
    column("PV", "string", ({ spec }) => spec.source?.persistentVolumeName ?? ""),
    column("Node", "string", ({ spec }) => spec.nodeName ?? ""),
    column("Attached", "boolean", ({ status }) => status?.attached === true),
    ageColumn,
  ],
});
