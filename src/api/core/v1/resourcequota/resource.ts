/** Upstream: pkg/registry/core/resourcequota */
import { parseQuantity } from "../../../../machinery/meta/quantity.ts";
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
    warnings: (quota, old) => (old === undefined ? limitWarnings(quota) : []),
  },
  views: { status: { validateUpdate: validateResourceQuotaStatus } },
  columns: [
    nameColumn,
    column("Request", "string", (quota) => usage(quota, (name) => !name.startsWith("limits."))),
    column("Limit", "string", (quota) => usage(quota, (name) => name.startsWith("limits."))),
    ageColumn,
  ],
});

/** Where more may be requested than be the limit. */
function limitWarnings({ spec }: ResourceQuota): readonly string[] {
  const hard = spec?.hard ?? {};
  return ["cpu", "memory", "storage", "ephemeral-storage"].flatMap((name) => {
    const bare = name === "cpu" || name === "memory";
    const requests = hard[`requests.${name}`] === undefined && bare ? name : `requests.${name}`;
    const [request, limit] = [hard[requests], hard[`limits.${name}`]];
    if (request === undefined || limit === undefined) return [];
    if ((parseQuantity(request)?.nano ?? 0n) <= (parseQuantity(limit)?.nano ?? 0n)) return [];
    return [`ResourceQuota ${requests} (${request}) should be less than limits.${name} (${limit})`];
  });
}

function usage({ status }: ResourceQuota, wanted: (name: string) => boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter(wanted)
    .sort()
    .map((name) => `${name}: ${status?.used?.[name] ?? "0"}/${status!.hard![name]}`)
    .join(", ");
}
