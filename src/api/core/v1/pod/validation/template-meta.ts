/**
 * Metadata that is copied to an object made later: only labels and annotations.
 * Upstream: pkg/apis/core/validation/validation.go (ValidateTemplateObjectMeta)
 */
import type { ObjectMeta } from "../../../../../machinery/meta/types.ts";
import { type FieldError, fieldForbidden } from "../../../../../machinery/validation/field-error.ts";
import { validateAnnotations, validateLabels } from "../../../../../machinery/validation/object-meta.ts";

/** In the order of their declaration. */
const OTHERS = [
  "name",
  "generateName",
  "namespace",
  "selfLink",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "ownerReferences",
  "finalizers",
  "managedFields",
] as const;

export function validateTemplateMeta(metadata: Partial<ObjectMeta> | undefined, path: string): FieldError[] {
  if (metadata === undefined) return [];
  return [
    ...validateAnnotations(metadata.annotations, `${path}.annotations`),
    ...validateLabels(metadata.labels, `${path}.labels`),
    ...OTHERS.filter(
      (field) =>
        isSet(metadata[field]) || (metadata.deletionGracePeriodSeconds === 0 && field === "deletionGracePeriodSeconds"),
    ).map((field) => fieldForbidden(`${path}.${field === "uid" ? "uID" : field}`, "cannot be set")),
  ];
}

const isSet = (value: unknown): boolean => value !== undefined && value !== "" && value !== 0;
