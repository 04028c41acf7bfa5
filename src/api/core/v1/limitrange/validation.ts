/** Upstream: pkg/apis/core/validation/validation.go (ValidateLimitRange) */
import { compareQuantities, parseQuantity, type Quantity } from "../../../../machinery/meta/quantity.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { checkText } from "../../../../machinery/validation/checks.ts";
import { isQualifiedName } from "../../../../machinery/validation/names.ts";
import type { LimitRange, LimitRangeItem } from "../../../generated/core.v1.ts";
import { validateContainerResourceName, validateResourceName } from "../pod/validation/resources.ts";

export function validateLimitRange({ spec }: LimitRange): FieldError[] {
  const seen = new Set<string>();
  return (spec?.limits ?? []).flatMap((item, i) => {
    const path = `spec.limits[${i}]`;
    const errors = validateType(item.type ?? "", `${path}.type`);
    if (seen.has(item.type)) errors.push(duplicate(`${path}.type`, item.type));
    seen.add(item.type);
    return [...errors, ...validateItem(item, path)];
  });
}

function validateType(type: string, path: string): FieldError[] {
  const errors = checkText(type, path, isQualifiedName);
  if (errors.length > 0 || type.includes("/") || ["Pod", "Container", "PersistentVolumeClaim"].includes(type))
    return errors;
  return [invalid(path, type, "must be a standard limit type or fully qualified")];
}

function validateItem(item: LimitRangeItem, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (item.type === "Pod") {
    const detail = "may not be specified when `type` is 'Pod'";
    if (Object.keys(item.default ?? {}).length > 0) errors.push(fieldForbidden(`${path}.default`, detail));
    if (Object.keys(item.defaultRequest ?? {}).length > 0)
      errors.push(fieldForbidden(`${path}.defaultRequest`, detail));
  }
  const nameRule =
    item.type === "Pod" || item.type === "Container" ? validateContainerResourceName : validateResourceName;
  const names = new Set<string>();
  for (const list of ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] as const)
    for (const name of Object.keys(item[list] ?? {}).sort()) {
      errors.push(...nameRule(name, `${path}.${list}[${name}]`));
      names.add(name);
    }
  if (
    item.type === "PersistentVolumeClaim" &&
    item.min?.["storage"] === undefined &&
    item.max?.["storage"] === undefined
  )
    errors.push(
      required(`${path}.limits`, "either minimum or maximum storage value is required, but neither was provided"),
    );
  for (const name of [...names].sort()) errors.push(...validateAmounts(item, name, path));
  return errors;
}

function validateAmounts(item: LimitRangeItem, name: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const text = (list: "max" | "min" | "default" | "defaultRequest" | "maxLimitRequestRatio") => item[list]?.[name];
  const [max, min, limit, request, ratio] = [
    text("max"),
    text("min"),
    text("default"),
    text("defaultRequest"),
    text("maxLimitRequestRatio"),
  ];
  const above = (a: string | undefined, b: string | undefined): boolean => {
    const [left, right] = [a, b].map((value) => (value === undefined ? undefined : parseQuantity(value)));
    return left !== undefined && right !== undefined && compareQuantities(left as Quantity, right as Quantity) > 0;
  };
  if (above(min, max))
    errors.push(invalid(`${path}.min[${name}]`, min, `min value ${min} is greater than max value ${max}`));
  const requestPath = `${path}.defaultRequest[${name}]`;
  if (above(min, request))
    errors.push(invalid(requestPath, request, `min value ${min} is greater than default request value ${request}`));
  if (above(request, max))
    errors.push(invalid(requestPath, request, `default request value ${request} is greater than max value ${max}`));
  if (above(request, limit))
    errors.push(
      invalid(requestPath, request, `default request value ${request} is greater than default limit value ${limit}`),
    );
  const limitPath = `${path}.default[${name}]`;
  if (above(min, limit))
    errors.push(invalid(limitPath, min, `min value ${min} is greater than default value ${limit}`));
  if (above(limit, max))
    errors.push(invalid(limitPath, max, `default value ${limit} is greater than max value ${max}`));
  if (ratio !== undefined && above("1", ratio))
    errors.push(invalid(`${path}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`));
  return errors;
}
