/** Upstream: pkg/registry/core/componentstatus */
import { column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ComponentStatus } from "../../../generated/core.v1.ts";

const healthy = ({ conditions }: ComponentStatus) => conditions?.find(({ type }) => type === "Healthy");

export const componentStatuses = defineResource<ComponentStatus>({
  group: "",
  version: "v1",
  kind: "ComponentStatus",
  deprecated: { warning: "v1 ComponentStatus is deprecated in v1.19+" },
  columns: [
    nameColumn,
    column("Status", "string", (object) => {
      const condition = healthy(object);
      return condition === undefined ? "Unknown" : condition.status === "True" ? "Healthy" : "Unhealthy";
    }),
    column("Message", "string", (object) => healthy(object)?.message ?? ""),
    column("Error", "string", (object) => healthy(object)?.error ?? ""),
  ],
});
