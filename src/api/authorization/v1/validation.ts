/** Access reviews. Upstream: pkg/apis/authorization/validation/validation.go */
import { type FieldError, invalid } from "../../../machinery/validation/field-error.ts";
import type {
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SubjectAccessReview,
} from "../../generated/authorization.v1.ts";

interface Spec {
  readonly resourceAttributes?: unknown;
  readonly nonResourceAttributes?: unknown;
}

export function validateReview({ spec }: SubjectAccessReview | LocalSubjectAccessReview): FieldError[] {
  const errors = validateSelfReview({ spec });
  if (!spec?.user && (spec?.groups ?? []).length === 0)
    errors.push(invalid("spec.user", spec?.user ?? "", "at least one of user or group must be specified"));
  return errors;
}

export function validateLocalReview(review: LocalSubjectAccessReview): FieldError[] {
  const errors = validateReview(review);
  const { metadata, spec } = review;
  if (spec?.resourceAttributes !== undefined && spec.resourceAttributes.namespace !== metadata.namespace)
    errors.push(
      invalid(
        "spec.resourceAttributes.namespace",
        spec.resourceAttributes.namespace ?? "",
        "must match metadata.namespace",
      ),
    );
  if (spec?.nonResourceAttributes !== undefined)
    errors.push(
      invalid("spec.nonResourceAttributes", spec.nonResourceAttributes, "disallowed on this kind of request"),
    );
  return errors;
}

export function validateSelfReview({ spec }: { readonly spec?: Spec } | SelfSubjectAccessReview): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = spec ?? {};
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined)
    return [
      invalid(
        "spec.nonResourceAttributes",
        nonResourceAttributes,
        "cannot be specified in combination with resourceAttributes",
      ),
    ];
  if (resourceAttributes === undefined && nonResourceAttributes === undefined)
    return [
      invalid(
        "spec.resourceAttributes",
        null,
        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
      ),
    ];
  return [];
}
