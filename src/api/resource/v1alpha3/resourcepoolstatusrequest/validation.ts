/** Upstream: pkg/apis/resource/validation/validation_resourcepoolstatusrequest.go, pkg/apis/resource/v1alpha3/zz_generated.validations.go */
import { checkRequiredText, checkText } from "../../../../machinery/validation/checks.ts";
import { validateConditions } from "../../../../machinery/validation/conditions.ts";
import {
  duplicate,
  type FieldError,
  invalid,
  required,
  tooLong,
  tooMany,
} from "../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, isDns1123SubdomainCaseless } from "../../../../machinery/validation/names.ts";
import type { PoolStatus, ResourcePoolStatusRequest } from "../../../generated/resource.v1alpha3.ts";
import { internalValue } from "../../../internal-value.ts";
import { semanticEqual } from "../../../semantic-equal.ts";

const MAX_POOLS = 1000;
const MAX_CONDITIONS = 10;
const MAX_ERROR_BYTES = 256;
const TYPES = "io.k8s.api.resource.v1alpha3.";

export function validatePoolStatusRequest({ spec }: ResourcePoolStatusRequest): FieldError[] {
  const errors = checkDriver(spec?.driver, "spec.driver");
  if (spec?.poolName !== undefined) errors.push(...checkPoolName(spec.poolName, "spec.poolName"));
  if (spec?.limit === undefined) errors.push(required("spec.limit"));
  else errors.push(...checkMost(spec.limit, "spec.limit", 1000), ...checkLeast(spec.limit, "spec.limit", 1));
  return errors;
}

const checkDriver = (driver: string | undefined, path: string): FieldError[] =>
  checkRequiredText(driver, path, isDns1123SubdomainCaseless);

/** The declarative rules count bytes. */
function checkLongName(name: string, path: string, prefix = ""): FieldError[] {
  return checkText(name, path, (text) =>
    isDns1123Subdomain(text).map((message) => `${prefix}${message.replace("253 characters", "253 bytes")}`),
  );
}

function checkPoolName(name: string, path: string): FieldError[] {
  const errors = Buffer.byteLength(name) > 253 ? [tooLong(path, 253)] : [];
  for (const [i, part] of name.split("/").entries())
    errors.push(
      ...(part === ""
        ? [invalid(path, name, `segment ${i}: must not be empty`)]
        : checkLongName(part, path, `segment ${i}: `)),
    );
  return errors;
}

const checkLeast = (value: number, path: string, least: number): FieldError[] =>
  value >= least ? [] : [invalid(path, value, `must be greater than or equal to ${least}`)];
const checkMost = (value: number, path: string, most: number): FieldError[] =>
  value <= most ? [] : [invalid(path, value, `must be less than or equal to ${most}`)];

export function validatePoolStatusRequestUpdate(
  { spec }: ResourcePoolStatusRequest,
  old: ResourcePoolStatusRequest,
): FieldError[] {
  if (semanticEqual(spec, old.spec)) return [];
  return [invalid("spec", null, "field is immutable")];
}

/** A request is answered once. */
export function validatePoolStatusRequestStatus(
  { status }: ResourcePoolStatusRequest,
  { status: before }: ResourcePoolStatusRequest,
): FieldError[] {
  const shown = status === undefined ? null : internalValue(status, `${TYPES}ResourcePoolStatusRequestStatus`);
  const errors =
    before === undefined
      ? validateConditions(status?.conditions, "status.conditions")
      : semanticEqual(status, before)
        ? []
        : [invalid("status", shown, "field is immutable")];
  return status === undefined ? errors : [...errors, ...validateChanged(status, before)];
}

type Status = NonNullable<ResourcePoolStatusRequest["status"]>;

const CONDITION = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition";

/** The declarative rules leave alone what hasn't changed. */
function validateChanged(status: Status, before: Status | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const { poolCount, pools = [], conditions = [] } = status;
  if (poolCount === undefined) {
    if (before === undefined || before.poolCount !== undefined) errors.push(required("status.poolCount"));
  } else if (poolCount !== before?.poolCount) errors.push(...checkLeast(poolCount, "status.poolCount", 0));
  if (!semanticEqual(pools, before?.pools)) {
    if (pools.length > MAX_POOLS) errors.push(tooMany("status.pools", pools.length, MAX_POOLS));
    else for (const [i, pool] of pools.entries()) errors.push(...validatePool(pool, `status.pools[${i}]`));
  }
  if (semanticEqual(conditions, before?.conditions)) return errors;
  if (conditions.length > MAX_CONDITIONS)
    return [...errors, tooMany("status.conditions", conditions.length, MAX_CONDITIONS)];
  for (const [i, condition] of conditions.entries())
    if (conditions.slice(0, i).some(({ type }) => type === condition.type))
      errors.push(duplicate(`status.conditions[${i}]`, internalValue(condition, CONDITION)));
  return errors;
}

const COUNTS = ["totalDevices", "allocatedDevices", "availableDevices", "unavailableDevices"] as const;

function validatePool(pool: PoolStatus, path: string): FieldError[] {
  const { driver, poolName, generation, resourceSliceCount, nodeName, validationError } = pool;
  const errors = checkDriver(driver, `${path}.driver`);
  errors.push(...(poolName ? checkPoolName(poolName, `${path}.poolName`) : [required(`${path}.poolName`)]));
  errors.push(...(generation ? checkLeast(generation, `${path}.generation`, 0) : [required(`${path}.generation`)]));
  if (resourceSliceCount !== undefined) errors.push(...checkLeast(resourceSliceCount, `${path}.resourceSliceCount`, 1));
  for (const field of COUNTS)
    if (pool[field] !== undefined) errors.push(...checkLeast(pool[field], `${path}.${field}`, 0));
  if (nodeName !== undefined) errors.push(...checkLongName(nodeName, `${path}.nodeName`));
  if (validationError !== undefined && Buffer.byteLength(validationError) > MAX_ERROR_BYTES)
    errors.push(tooLong(`${path}.validationError`, MAX_ERROR_BYTES));
  return errors;
}
