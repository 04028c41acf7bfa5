/**
 * Claims for devices and their templates, in the shape of v1. Selectors are CEL: the API server compiles them.
 * Upstream: pkg/apis/resource/validation/validation.go
 */
import { checkOptionalWord, checkRequiredText, checkText } from "../../machinery/validation/checks.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  required,
  tooMany,
} from "../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain } from "../../machinery/validation/names.ts";
import { immutableField } from "../../machinery/validation/object-meta.ts";
import type {
  DeviceRequest,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceClaimTemplate,
} from "../generated/resource.v1.ts";
import { semanticEqual } from "../semantic-equal.ts";

const MAX_REQUESTS = 32;
const MAX_ALTERNATIVES = 8;
const MAX_RESERVED = 256;

export function validateClaim({ spec }: ResourceClaim): FieldError[] {
  return validateClaimSpec(spec, "spec");
}

export function validateClaimUpdate(claim: ResourceClaim, old: ResourceClaim): FieldError[] {
  return semanticEqual(claim.spec, old.spec) ? [] : immutableField(claim.spec, old.spec, "spec");
}

export function validateTemplate({ spec }: ResourceClaimTemplate): FieldError[] {
  return validateClaimSpec(spec?.spec, "spec.spec");
}

export function validateTemplateUpdate(template: ResourceClaimTemplate, old: ResourceClaimTemplate): FieldError[] {
  return semanticEqual(template.spec, old.spec) ? [] : immutableField(template.spec, old.spec, "spec");
}

function validateClaimSpec(spec: ResourceClaimSpec | undefined, path: string): FieldError[] {
  const { requests = [], constraints = [], config = [] } = spec?.devices ?? {};
  const errors: FieldError[] = [];
  for (const [name, list] of [
    ["requests", requests],
    ["constraints", constraints],
    ["config", config],
  ] as const)
    if (list.length > MAX_REQUESTS) errors.push(tooMany(`${path}.devices.${name}`, list.length, MAX_REQUESTS));
  const names = new Set<string>();
  for (const [i, request] of requests.entries()) {
    const at = `${path}.devices.requests[${i}]`;
    if (names.has(request.name)) errors.push(duplicate(at, request.name));
    names.add(request.name);
    errors.push(...validateRequest(request, at));
  }
  for (const [i, { matchAttribute, distinctAttribute }] of constraints.entries())
    if (matchAttribute === undefined && distinctAttribute === undefined)
      errors.push(
        required(
          `${path}.devices.constraints[${i}]`,
          'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
        ),
      );
  for (const [i, { opaque }] of config.entries())
    if (opaque === undefined) errors.push(required(`${path}.devices.config[${i}].opaque`));
  return errors;
}

function validateRequest(request: DeviceRequest, path: string): FieldError[] {
  const { name, exactly, firstAvailable = [] } = request;
  const errors = checkText(name ?? "", `${path}.name`, isDns1123Label);
  const words = "exactly one of `exactly` or `firstAvailable` is required";
  if (exactly === undefined && firstAvailable.length === 0) errors.push(required(path, words));
  if (exactly !== undefined && firstAvailable.length > 0)
    errors.push(invalid(path, request, `${words}, but multiple fields are set`));
  if (exactly !== undefined) errors.push(...validateWish(exactly, `${path}.exactly`));
  if (firstAvailable.length > MAX_ALTERNATIVES)
    errors.push(tooMany(`${path}.firstAvailable`, firstAvailable.length, MAX_ALTERNATIVES));
  const names = new Set<string>();
  for (const [i, alternative] of firstAvailable.entries()) {
    const at = `${path}.firstAvailable[${i}]`;
    errors.push(...checkText(alternative.name ?? "", `${at}.name`, isDns1123Label));
    if (names.has(alternative.name)) errors.push(duplicate(at, alternative.name));
    names.add(alternative.name);
    errors.push(...validateWish(alternative, at));
  }
  return errors;
}

interface Wish {
  readonly deviceClassName: string;
  readonly allocationMode?: string;
  readonly count?: number;
}

function validateWish({ deviceClassName, allocationMode, count }: Wish, path: string): FieldError[] {
  const errors = [
    ...checkRequiredText(deviceClassName, `${path}.deviceClassName`, isDns1123Subdomain),
    ...checkOptionalWord(allocationMode, `${path}.allocationMode`, ["All", "ExactCount"]),
  ];
  if (allocationMode === "All" && count !== undefined && count !== 0)
    errors.push(invalid(`${path}.count`, count, "must not be specified when allocationMode is 'All'"));
  if (allocationMode === "ExactCount" && (count ?? 0) <= 0)
    errors.push(invalid(`${path}.count`, count ?? 0, "must be greater than zero"));
  return errors;
}

export function validateClaimStatus({ metadata, status }: ResourceClaim, old: ResourceClaim): FieldError[] {
  const errors: FieldError[] = [];
  const reserved = status?.reservedFor ?? [];
  const path = "status.reservedFor";
  if (reserved.length > MAX_RESERVED) errors.push(tooMany(path, reserved.length, MAX_RESERVED));
  const uids = new Set<string>();
  for (const [i, { resource, name, uid }] of reserved.entries()) {
    if (!resource) errors.push(required(`${path}[${i}].resource`));
    if (!name) errors.push(required(`${path}[${i}].name`));
    if (!uid) errors.push(required(`${path}[${i}].uid`));
    if (uids.has(uid)) errors.push(duplicate(`${path}[${i}]`, uid));
    uids.add(uid);
  }
  if (reserved.length > 0 && status?.allocation === undefined)
    errors.push(fieldForbidden(path, "may not be specified when `allocated` is not set"));
  const known = new Set((old.status?.reservedFor ?? []).map(({ uid }) => uid));
  if (metadata.deletionTimestamp !== undefined && reserved.some(({ uid }) => !known.has(uid)))
    errors.push(
      fieldForbidden(path, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"),
    );
  const before = old.status?.allocation;
  if (before !== undefined && status?.allocation !== undefined && !semanticEqual(status.allocation, before))
    errors.push(...immutableField(status.allocation, before, "status.allocation"));
  return errors;
}
