/** Upstream: pkg/apis/networking/v1/defaults.go, pkg/registry/networking/ingressclass */
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent } from "../../../defaulting.ts";
import { defineResource } from "../../../define.ts";
import type { IngressClass } from "../../../generated/networking.v1.ts";
import { validateIngressClass, validateIngressClassUpdate } from "../validation.ts";

export const ingressClasses = defineResource<IngressClass>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "IngressClass",
  behaviour: {
    defaults({ spec }) {
      if (spec?.parameters !== undefined) ifAbsent(spec.parameters, "scope", "Cluster");
    },
    validate: validateIngressClass,
    validateUpdate: validateIngressClassUpdate,
  },
  columns: [
    {
      ...nameColumn,
      cell: ({ metadata }) =>
        `${metadata.name}${metadata.annotations?.["ingressclass.kubernetes.io/is-default-class"] === "true" ? " (default)" : ""}`,
    },
    column("Controller", "string", ({ spec }) => spec?.controller ?? ""),
    column("Parameters", "string", ({ spec }) => {
      const parameters = spec?.parameters;
      if (parameters === undefined) return "<none>";
      const group = parameters.apiGroup ? `.${parameters.apiGroup}` : "";
      return `${parameters.kind}${group}/${parameters.name}`;
    }),
    ageColumn,
  ],
});
