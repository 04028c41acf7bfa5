/** Upstream: pkg/registry/resource/resourcepoolstatusrequest */
import { age, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { PoolStatus, ResourcePoolStatusRequest } from "../../../generated/resource.v1alpha3.ts";
import {
  validatePoolStatusRequest,
  validatePoolStatusRequestStatus,
  validatePoolStatusRequestUpdate,
} from "./validation.ts";

type Request = ResourcePoolStatusRequest;

export const resourcePoolStatusRequests = defineResource<Request>({
  group: "resource.k8s.io",
  version: "v1alpha3",
  kind: "ResourcePoolStatusRequest",
  behaviour: {
    defaults({ spec }) {
      if (spec !== undefined) ifAbsent(spec, "limit", 100);
    },
    validate: validatePoolStatusRequest,
    validateUpdate: validatePoolStatusRequestUpdate,
  },
  views: { status: { validateUpdate: validatePoolStatusRequestStatus } },
  columns: [
    nameColumn,
    column("Driver", "string", ({ spec }) => spec?.driver ?? ""),
    column(
      "Total",
      "string",
      sumOf(({ totalDevices }) => totalDevices),
    ),
    column(
      "Available",
      "string",
      sumOf(({ availableDevices }) => availableDevices),
    ),
    column(
      "Allocated",
      "string",
      sumOf(({ allocatedDevices }) => allocatedDevices),
    ),
    column(
      "Unavailable",
      "string",
      sumOf(({ unavailableDevices }) => unavailableDevices),
    ),
    column(
      "Errors",
      "string",
      sumOf(({ validationError }) => (validationError ? 1 : 0)),
    ),
    column("Pools", "integer", ({ status }) => status?.poolCount ?? 0),
    column("Status", "string", (request) => {
      const end = endOf(request);
      const listed = (request.status?.pools ?? []).length;
      const all = request.status?.poolCount ?? 0;
      return end?.type === "Complete" && all > listed ? `Complete (${listed}/${all} pools)` : (end?.type ?? "Pending");
    }),
    column("Completed", "string", ({ status }, now) => {
      const condition = status?.conditions?.find(({ type }) => type === "Complete");
      return condition === undefined ? "<none>" : age(condition.lastTransitionTime, now);
    }),
  ],
});

const endOf = ({ status }: Request) =>
  status?.conditions?.find(
    (condition) => condition.status === "True" && ["Complete", "Failed"].includes(condition.type),
  );

function sumOf(count: (pool: PoolStatus) => number | undefined): (request: Request) => string {
  return (request) => {
    if (request.status === undefined || endOf(request)?.type === "Failed") return "-";
    return String((request.status.pools ?? []).reduce((sum, pool) => sum + (count(pool) ?? 0), 0));
  };
}
