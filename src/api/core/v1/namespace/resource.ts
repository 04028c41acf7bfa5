/** Upstream: pkg/apis/core/v1/defaults.go, pkg/registry/core/namespace */
import type { Mutable } from "../../../../base/mutable.ts";
import { nameIsLabel } from "../../../../machinery/validation/names.ts";
import { validateFinalizerNames } from "../../../../machinery/validation/object-meta.ts";
import { type FieldError, invalid } from "../../../../machinery/validation/field-error.ts";
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { ifAbsent, ifEmpty } from "../../../defaulting.ts";
import { defineResource, keep } from "../../../define.ts";
import type { Namespace } from "../../../generated/core.v1.ts";

const NAME_LABEL = "kubernetes.io/metadata.name";
const FINALIZER = "kubernetes";

export const namespaces = defineResource<Namespace>({
  group: "",
  version: "v1",
  kind: "Namespace",
  nameRule: nameIsLabel,
  behaviour: {
    defaults(namespace) {
      labelWithName(namespace);
      ifAbsent(namespace, "status", {});
      ifEmpty(namespace.status, "phase", "Active");
    },
    prepareForCreate(namespace) {
      namespace.status = { phase: "Active" };
      const finalizers = ((namespace.spec ??= {}).finalizers ??= []);
      if (!finalizers.includes(FINALIZER)) finalizers.push(FINALIZER);
    },
    prepareForUpdate(namespace, old) {
      keep((namespace.spec ??= {}), (old.spec ?? {}) as Mutable<Namespace["spec"]>, "finalizers");
    },
    validate: ({ spec }) => withoutIndex(validateFinalizerNames(spec?.finalizers, "spec.finalizers")),
    canonicalize: labelWithName,
  },
  views: {
    status: {
      validateUpdate({ metadata, status }) {
        const deleting = metadata.deletionTimestamp !== undefined;
        const phase = deleting ? "Terminating" : "Active";
        const which = deleting ? "not empty" : "empty";
        return status?.phase === phase
          ? []
          : [
              invalid(
                "status.Phase",
                status?.phase ?? "",
                `may only be '${phase}' if \`deletionTimestamp\` is ${which}`,
              ),
            ];
      },
    },
    // Only `spec.finalizers` comes from the request: the namespace controller takes its own away when the namespace is empty.
    finalize: {
      prepareForUpdate: (namespace, old) => keep(namespace, old as Mutable<Namespace>, "status"),
      validateUpdate: ({ spec }) => validateFinalizerNames(spec?.finalizers, "spec.finalizers"),
    },
  },
  selectableFields: { "status.phase": ({ status }) => status?.phase ?? "" },
  columns: [nameColumn, column("Status", "string", ({ status }) => status?.phase ?? ""), ageColumn],
});

/** Outside of the finalize endpoint the errors are those of the list. */
const withoutIndex = (errors: readonly FieldError[]): readonly FieldError[] =>
  errors.map((error) => ({ ...error, field: error.field.replace(/\[\d+\]$/, "") }));

/** So that policies can select namespaces by name. */
function labelWithName(namespace: Mutable<Namespace>): void {
  if (!namespace.metadata.name) return;
  namespace.metadata.labels = { ...namespace.metadata.labels, [NAME_LABEL]: namespace.metadata.name };
}
