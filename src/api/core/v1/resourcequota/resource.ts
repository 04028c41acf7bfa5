/** Upstream: pkg/registry/core/resourcequota */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { roundResourceList } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { ResourceQuota } from "../../../generated/core.v1.ts";
import { validateResourceQuota, validateResourceQuotaStatus, validateResourceQuotaUpdate } from "./validation.ts";

export const resourceQuotas = defineResource<ResourceQuota>({
  group: "",
  version: "v1",
  kind: "ResourceQuota",
  behaviour: {
    defaults({ spec, status }) {
      roundResourceList(spec?.hard);
      roundResourceList(status?.hard);
      roundResourceList(status?.used);
    },
    validate: validateResourceQuota,
    validateUpdate: validateResourceQuotaUpdate,
  },
  views: { status: { validateUpdate: validateResourceQuotaStatus } },
  columns: [
    nameColumn,
    column("Request", "string", (quota) => usage(quota, (name) => !name.startsWith("limits."))),
    column("Limit", "string", (quota) => usage(quota, (name) => name.startsWith("limits."))),
    ageColumn,
  ],
});

function usage({ status }: ResourceQuota, wanted: (name: string) => boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter(wanted)
    .sort()
    .map((name) => `${name}: ${status?.used?.[name] ?? "0"}/${status!.hard![name]}`)
    .join(", ");
}
