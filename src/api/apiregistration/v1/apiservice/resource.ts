/** Upstream: staging/src/k8s.io/kube-aggregator/pkg/registry/apiservice */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { APIService } from "../../../generated/apiregistration.v1.ts";
import { validateApiService, validateApiServiceStatus } from "./validation.ts";
import { nameIsPathSegment } from "../../../../machinery/validation/names.ts";

export const apiServices = defineResource<APIService>({
  group: "apiregistration.k8s.io",
  version: "v1",
  kind: "APIService",
  nameRule: nameIsPathSegment,
  behaviour: {
    defaults({ spec }) {
      if (spec?.service !== undefined) ifAbsent(spec.service, "port", 443);
    },
    prepareForCreate(service, { now }) {
      service.status =
        service.spec?.service === undefined
          ? {
              conditions: [
                {
                  type: "Available",
                  status: "True",
                  lastTransitionTime: now,
                  reason: "Local",
                  message: "Local APIServices are always available",
                },
              ],
            }
          : {};
    },
    validate: validateApiService,
  },
  views: { status: { validateUpdate: validateApiServiceStatus } },
  columns: [
    nameColumn,
    column("Service", "string", ({ spec }) =>
      spec?.service === undefined ? "Local" : `${spec.service.namespace}/${spec.service.name}`,
    ),
    column("Available", "string", ({ status }) => {
      const condition = status?.conditions?.find(({ type }) => type === "Available");
      if (condition === undefined) return "Unknown";
      return condition.status !== "True" && condition.reason
        ? `${condition.status} (${condition.reason})`
        : condition.status;
    }),
    ageColumn,
  ],
});
