/** Upstream: pkg/apis/core/validation/validation.go (ValidateLimitRange) */
import { compareQuantities, milliUnits, parseQuantity, type Quantity } from "../../../../machinery/meta/quantity.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  required,
} from "../../../../machinery/validation/field-error.ts";
import { checkText } from "../../../../machinery/validation/checks.ts";
import { isQualifiedName } from "../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import type { LimitRange, LimitRangeItem } from "../../../generated/core.v1.ts";
import { isOvercommitable, validateContainerResourceName, validateResourceName } from "../pod/validation/resources.ts";

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

type List = "max" | "min" | "default" | "defaultRequest" | "maxLimitRequestRatio";

function validateItem(item: LimitRangeItem, path: string): FieldError[] {
  const ofPods = item.type === "Pod" || item.type === "Container";
  const names = new Set<string>();
  const namesIn = (list: List): FieldError[] =>
    sortedEntries(item[list]).flatMap(([name]) => {
      names.add(name);
      const at = `${path}.${list}[${name}]`;
      return ofPods ? validateContainerResourceName(name, at) : validateResourceName(name, at);
    });
  const errors = [...namesIn("max"), ...namesIn("min")];
  const shares = ["default", "defaultRequest"] as const;
  if (item.type === "Pod")
    for (const list of shares) {
      if (Object.keys(item[list] ?? {}).length > 0)
        errors.push(fieldForbidden(`${path}.${list}`, "may not be specified when `type` is 'Pod'"));
    }
  else errors.push(...shares.flatMap(namesIn));
  if (
    item.type === "PersistentVolumeClaim" &&
    item.min?.["storage"] === undefined &&
    item.max?.["storage"] === undefined
  )
    errors.push(
      required(`${path}.limits`, "either minimum or maximum storage value is required, but neither was provided"),
    );
  errors.push(...namesIn("maxLimitRequestRatio"));
  const counted = item.type === "Pod" ? { ...item, default: undefined, defaultRequest: undefined } : item;
  for (const name of [...names].sort()) errors.push(...validateAmounts(counted, name, path));
  return errors;
}

function validateAmounts(
  item: { readonly [L in List]?: LimitRangeItem[L] | undefined },
  name: string,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const text = (list: List) => item[list]?.[name];
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
  const ratioPath = `${path}.maxLimitRequestRatio[${name}]`;
  if (ratio !== undefined && above("1", ratio)) errors.push(invalid(ratioPath, ratio, `ratio ${ratio} is less than 1`));
  if (ratio !== undefined && min !== undefined && max !== undefined) {
    const most = number(max) / number(min);
    if (number(ratio) > most)
      errors.push(invalid(ratioPath, ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`));
  }
  const differ = limit !== undefined && request !== undefined && (above(limit, request) || above(request, limit));
  if (differ && !isOvercommitable(name))
    errors.push(
      invalid(requestPath, request, `default value ${limit} must equal to defaultRequest value ${request} in ${name}`),
    );
  return errors;
}

const number = (text: string): number => Number(milliUnits(parseQuantity(text)!)) / 1000;
