/** Access reviews. Upstream: pkg/apis/authorization/validation/validation.go */
import { validateFieldRequirement, validateRequirement } from "../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required } from "../../../machinery/validation/field-error.ts";
import type {
  LocalSubjectAccessReview,
  NonResourceAttributes,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SubjectAccessReview,
} from "../../generated/authorization.v1.ts";

export const validateReview = (review: SubjectAccessReview): FieldError[] => [
  ...validateSpec(review),
  ...checkMetadata(review.metadata, "must be empty"),
];

export const validateSelfReview = ({ metadata, spec }: SelfSubjectAccessReview): FieldError[] => [
  ...checkOneKind(spec ?? {}),
  ...checkSelectors(spec?.resourceAttributes),
  ...checkMetadata(metadata, "must be empty"),
];

export function validateLocalReview(review: LocalSubjectAccessReview): FieldError[] {
  const { metadata, spec } = review;
  const { namespace = "", ...rest } = metadata;
  const errors = [...validateSpec(review), ...checkMetadata(rest, "must be empty except for namespace", metadata)];
  const { resourceAttributes, nonResourceAttributes } = spec ?? {};
  const asked = resourceAttributes?.namespace ?? "";
  if (resourceAttributes !== undefined && asked !== namespace)
    errors.push(invalid("spec.resourceAttributes.namespace", asked, "must match metadata.namespace"));
  if (nonResourceAttributes !== undefined)
    errors.push(
      invalid("spec.nonResourceAttributes", asGo(nonResourceAttributes), "disallowed on this kind of request"),
    );
  return errors;
}

function validateSpec({ spec }: SubjectAccessReview | LocalSubjectAccessReview): FieldError[] {
  const errors = checkOneKind(spec ?? {});
  if (!spec?.user && (spec?.groups ?? []).length === 0)
    errors.push(invalid("spec.user", spec?.user ?? "", "at least one of user or group must be specified"));
  return [...errors, ...checkSelectors(spec?.resourceAttributes)];
}

/** A question is for a resource or for a path. */
function checkOneKind({
  resourceAttributes,
  nonResourceAttributes,
}: {
  readonly resourceAttributes?: ResourceAttributes;
  readonly nonResourceAttributes?: NonResourceAttributes;
}): FieldError[] {
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined)
    return [
      invalid(
        "spec.nonResourceAttributes",
        asGo(nonResourceAttributes),
        "cannot be specified in combination with resourceAttributes",
      ),
    ];
  if (resourceAttributes !== undefined || nonResourceAttributes !== undefined) return [];
  const words = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  return [invalid("spec.resourceAttributes", null, words)];
}

/** Upstream shows the fields by their names in Go. */
const asGo = ({ path = "", verb = "" }: NonResourceAttributes): object => ({ Path: path, Verb: verb });

/** Operators that this server doesn't know are let through: a newer one may ask it. */
function checkSelectors(attributes: ResourceAttributes | undefined): FieldError[] {
  const path = "spec.resourceAttributes";
  const { fieldSelector, labelSelector } = attributes ?? {};
  return [
    ...checkSelector(fieldSelector, `${path}.fieldSelector`, validateFieldRequirement),
    ...checkSelector(labelSelector, `${path}.labelSelector`, (requirement, at) =>
      validateRequirement(requirement, at, { allowUnknownOperator: true }),
    ),
  ];
}

type Attributes = ResourceAttributes["fieldSelector"] | ResourceAttributes["labelSelector"];

function checkSelector(
  selector: Attributes,
  path: string,
  check: (requirement: any, path: string) => readonly FieldError[],
): FieldError[] {
  if (selector === undefined) return [];
  const { rawSelector = "", requirements = [] } = selector;
  const errors: FieldError[] = [];
  if (rawSelector !== "" && requirements.length > 0)
    errors.push(invalid(`${path}.rawSelector`, rawSelector, "may not specified at the same time as requirements"));
  if (rawSelector === "" && requirements.length === 0)
    errors.push(required(`${path}.requirements`, `when ${path} is specified, requirements or rawSelector is required`));
  return [...errors, ...requirements.flatMap((one, i) => check(one, `${path}.requirements[${i}]`))];
}

/** A review is no object: it has nothing to be known by. */
function checkMetadata(metadata: object, words: string, shown = metadata): FieldError[] {
  const said = Object.entries(metadata).filter(([field, value]) => field !== "managedFields" && !isEmpty(value));
  return said.length === 0 ? [] : [invalid("metadata", shown, words)];
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === "" || (typeof value === "object" && Object.keys(value ?? {}).length === 0);
