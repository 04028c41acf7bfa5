/** What drivers publish: pools of devices, their attributes, capacities and counters. Upstream: pkg/apis/resource/validation/validation.go */
import { isGivenEmpty } from "../../machinery/codec/empties.ts";
import { formatQuantity, parseQuantity } from "../../machinery/meta/quantity.ts";
import { checkText } from "../../machinery/validation/checks.ts";
import {
  duplicate,
  type FieldError,
  fieldForbidden,
  fieldNotFound,
  invalid,
  required,
  tooLong,
  tooMany,
} from "../../machinery/validation/field-error.ts";
import { isDns1123Label, isDns1123Subdomain, isQualifiedName } from "../../machinery/validation/names.ts";
import { immutableField, sortedEntries } from "../../machinery/validation/object-meta.ts";
import { isNativeResource } from "../core/v1/pod/validation/resources.ts";
import { validateNodeSelector } from "../core/v1/pod/validation/scheduling.ts";
import type { Device, DeviceAttribute, DeviceCapacity, ResourceSlice } from "../generated/resource.v1.ts";
import { internalValue } from "../internal-value.ts";
import { semanticEqual } from "../semantic-equal.ts";
import {
  validateDeviceQualifiedName,
  validateDeviceTaint,
  validateDriverName,
  validatePoolName,
  validateSet,
} from "./validation.ts";

const MAX_DEVICES = 128;
const MAX_DEVICES_WITH_TAINTS_OR_COUNTERS = 64;
const MAX_COUNTER_SETS = 8;
const MAX_COUNTERS = 32;
const MAX_CONSUMED_SETS = 2;
const MAX_ATTRIBUTES_AND_CAPACITIES = 32;
const MAX_TAINTS = 16;
const MAX_VALUE_BYTES = 64;
const MAX_OPTIONS = 10;
const MAX_CONDITIONS = 4;
const SEMANTIC =
  /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

const MAX_ATTRIBUTE_VALUES = 48;
const LISTS = ["bools", "ints", "strings", "versions"] as const;
/** As an error shows them. */
const VALUES = [
  "IntValue",
  "BoolValue",
  "StringValue",
  "VersionValue",
  "IntValues",
  "BoolValues",
  "StringValues",
  "VersionValues",
] as const;

type Spec = ResourceSlice["spec"];

export function validateSlice({ spec }: ResourceSlice, old?: ResourceSlice): FieldError[] {
  const { pool, nodeName, nodeSelector, allNodes, perDeviceNodeSelection, devices, sharedCounters } = spec ?? {};
  const errors = validateDriverName(spec?.driver ?? "", "spec.driver");
  errors.push(...validatePoolName(pool?.name ?? "", "spec.pool.name"));
  const [count, generation] = [pool?.resourceSliceCount ?? 0, pool?.generation ?? 0];
  if (count <= 0) errors.push(invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"));
  if (generation < 0) errors.push(invalid("spec.pool.generation", generation, "must be greater than or equal to zero"));
  if (old !== undefined)
    errors.push(
      ...immutableField(pool?.name ?? "", old.spec.pool.name, "spec.pool.name"),
      ...immutableField(spec?.driver ?? "", old.spec.driver, "spec.driver"),
      ...immutableField(nodeName, old.spec.nodeName, "spec.nodeName"),
    );
  const places: string[] = [];
  if (nodeName === "")
    errors.push(invalid("spec.nodeName", nodeName, "must be either unset or set to a non-empty string"));
  else if (nodeName !== undefined) {
    places.push("`nodeName`");
    errors.push(...checkText(nodeName, "spec.nodeName", isDns1123Subdomain));
  }
  if (nodeSelector !== undefined) {
    places.push("`nodeSelector`");
    errors.push(...validateNodeSelector(nodeSelector, "spec.nodeSelector", { allowInvalidLabelValues: false }));
    const terms = nodeSelector.nodeSelectorTerms ?? [];
    if (terms.length !== 1) {
      const shown =
        terms.length === 0 && !isGivenEmpty(terms)
          ? null
          : terms.map((term) => internalValue(term, "io.k8s.api.core.v1.NodeSelectorTerm"));
      errors.push(invalid("spec.nodeSelector.nodeSelectorTerms", shown, "must have exactly one node selector term"));
    }
  }
  for (const [field, value] of Object.entries({ allNodes, perDeviceNodeSelection }))
    if (value === true) places.push(`\`${field}\``);
    else if (value === false) errors.push(invalid(`spec.${field}`, value, "must be either unset or set to true"));
  const words = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
  if (places.length === 0) errors.push(required("spec", words));
  else if (places.length > 1)
    errors.push(invalid("spec", `{${places.join(", ")}}`, `${words}, but multiple fields are set`));
  if (sharedCounters !== undefined && devices !== undefined)
    errors.push(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"));
  errors.push(...validateDevices(spec, old?.spec));
  errors.push(
    ...validateSet(
      sharedCounters ?? [],
      MAX_COUNTER_SETS,
      "spec.sharedCounters",
      ({ name }) => name,
      ({ name, counters }, path) => [
        ...(name ? checkText(name, `${path}.name`, isDns1123Label) : [required(`${path}.name`)]),
        ...validateCounters(counters, `${path}.counters`),
      ],
    ),
  );
  return errors;
}

function validateDevices(spec: Spec | undefined, old: Spec | undefined): FieldError[] {
  const devices = spec?.devices ?? [];
  const advanced = devices.some(
    ({ taints = [], consumesCounters = [] }) => taints.length > 0 || consumesCounters.length > 0,
  );
  const max = advanced ? MAX_DEVICES_WITH_TAINTS_OR_COUNTERS : MAX_DEVICES;
  return validateSet(
    devices,
    max,
    "spec.devices",
    ({ name }) => name,
    (device, path) => {
      const before = old?.devices?.find(({ name }) => name === device.name);
      return validateDevice(device, before, path, spec?.perDeviceNodeSelection === true);
    },
  );
}

function validateCounters(counters: Readonly<Record<string, unknown>> | undefined, path: string): FieldError[] {
  const names = Object.keys(counters ?? {}).sort();
  if (names.length === 0) return [required(path)];
  if (names.length > MAX_COUNTERS) return [tooMany(path, names.length, MAX_COUNTERS)];
  return names.flatMap((name) => checkText(name, path, isDns1123Label));
}

function validateDevice(device: Device, old: Device | undefined, path: string, perDevice: boolean): FieldError[] {
  const { name, attributes = {}, capacity = {}, taints = [], consumesCounters = [] } = device;
  const errors = checkText(name ?? "", `${path}.name`, isDns1123Label);
  const total = Object.keys(attributes).length + Object.keys(capacity).length;
  if (total > MAX_ATTRIBUTES_AND_CAPACITIES)
    errors.push(
      invalid(
        path,
        total,
        `the total number of attributes and capacities must not exceed ${MAX_ATTRIBUTES_AND_CAPACITIES}`,
      ),
    );
  const values = Object.values(attributes)
    .map((attribute) => LISTS.reduce((sum, list) => sum + (attribute[list]?.length ?? 0), 0) || 1)
    .reduce((sum, count) => sum + count, 0);
  if (values > MAX_ATTRIBUTE_VALUES)
    errors.push(invalid(path, values, `the total number of attribute values must not exceed ${MAX_ATTRIBUTE_VALUES}`));
  for (const [key, attribute] of sortedEntries(attributes))
    errors.push(
      ...validateDeviceQualifiedName(key, `${path}.attributes`),
      ...validateAttribute(attribute, `${path}.attributes[${key}]`),
    );
  for (const [key, amount] of sortedEntries(capacity))
    errors.push(
      ...validateDeviceQualifiedName(key, `${path}.capacity`),
      ...validateCapacity(amount, device.allowMultipleAllocations === true, `${path}.capacity[${key}].requestPolicy`),
    );
  if (old === undefined || !semanticEqual(old.taints, device.taints))
    if (taints.length > MAX_TAINTS) errors.push(tooMany(`${path}.taints`, taints.length, MAX_TAINTS));
    else
      for (const [i, taint] of taints.entries())
        errors.push(...validateDeviceTaint(taint, undefined, `${path}.taints[${i}]`));
  errors.push(
    ...validateSet(
      consumesCounters,
      MAX_CONSUMED_SETS,
      `${path}.consumesCounters`,
      ({ counterSet }) => counterSet,
      ({ counterSet, counters }, at) => [
        ...(counterSet ? checkText(counterSet, `${at}.counterSet`, isDns1123Label) : [required(`${at}.counterSet`)]),
        ...validateCounters(counters, `${at}.counters`),
      ],
    ),
    ...validatePlace(device, path, perDevice),
    ...validateBinding(device, path),
    ...validateMappings(device, `${path}.nodeAllocatableResourceMappings`),
  );
  return errors;
}

/** Which of a node's own amounts a device takes from. */
function validateMappings({ nodeAllocatableResourceMappings = {}, capacity = {} }: Device, path: string): FieldError[] {
  return sortedEntries(nodeAllocatableResourceMappings).flatMap(([resource, mapping]) => {
    const { allocationMultiplier: multiplier, capacityKey: key } = mapping;
    const at = `${path}[${resource}]`;
    const errors = isNativeResource(resource)
      ? []
      : [invalid(at, resource, "must be a node allocatable resource name")];
    if (multiplier === undefined && key === undefined)
      errors.push(invalid(at, "", "at least one of allocationMultiplier or capacityKey must be set"));
    if (multiplier !== undefined && amountOf(multiplier) <= 0n)
      errors.push(invalid(`${at}.allocationMultiplier`, multiplier, "must be positive"));
    if (key === "") errors.push(invalid(`${at}.capacityKey`, "", "capacityKey must not be an empty string"));
    else if (key !== undefined && !Object.hasOwn(capacity, key)) errors.push(fieldNotFound(`${at}.capacityKey`, key));
    return errors;
  });
}

function validatePlace({ nodeName, nodeSelector, allNodes }: Device, path: string, perDevice: boolean): FieldError[] {
  if (!perDevice) {
    const none = nodeName === undefined && nodeSelector === undefined && allNodes === undefined;
    const words =
      "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    return none ? [] : [invalid(path, null, words)];
  }
  const errors: FieldError[] = [];
  const places: string[] = [];
  if (nodeName === "") errors.push(invalid(`${path}.nodeName`, nodeName, "must not be empty"));
  else if (nodeName !== undefined) {
    places.push("`nodeName`");
    errors.push(...checkText(nodeName, `${path}.nodeName`, isDns1123Subdomain));
  }
  if (nodeSelector !== undefined) {
    places.push("`nodeSelector`");
    errors.push(...validateNodeSelector(nodeSelector, `${path}.nodeSelector`, { allowInvalidLabelValues: false }));
  }
  if (allNodes === true) places.push("`allNodes`");
  else if (allNodes === false) errors.push(invalid(`${path}.allNodes`, false, "must be either unset or set to true"));
  const words =
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
  if (places.length === 0) errors.push(required(path, words));
  else if (places.length > 1) errors.push(invalid(path, `{${places.join(", ")}}`, words));
  return errors;
}

export function validateBinding(
  {
    bindingConditions = [],
    bindingFailureConditions = [],
  }: Pick<Device, "bindingConditions" | "bindingFailureConditions">,
  path: string,
): FieldError[] {
  const fields = { bindingConditions, bindingFailureConditions };
  const errors = Object.entries(fields).flatMap(([field, list]) =>
    list.length > MAX_CONDITIONS
      ? [tooMany(`${path}.${field}`, list.length, MAX_CONDITIONS)]
      : list.flatMap((condition, i) => checkText(condition, `${path}.${field}[${i}]`, isQualifiedName)),
  );
  for (const [field, list] of Object.entries(fields))
    for (const [i, condition] of list.entries()) {
      if (list.indexOf(condition) < i) errors.push(duplicate(`${path}.${field}[${i}]`, condition));
      if (field === "bindingFailureConditions" && bindingConditions.includes(condition))
        errors.push(
          invalid(
            `${path}.${field}[${i}]`,
            condition,
            "bindingFailureConditions must not overlap with bindingConditions",
          ),
        );
    }
  const needs = (field: keyof typeof fields, other: string) =>
    errors.push(invalid(`${path}.${field}`, givenOrNull(fields[field]), `${field} are required to use ${other}`));
  if (bindingConditions.length > 0 && bindingFailureConditions.length === 0)
    needs("bindingFailureConditions", "bindingConditions");
  if (bindingConditions.length === 0 && bindingFailureConditions.length > 0)
    needs("bindingConditions", "bindingFailureConditions");
  return errors;
}

const givenOrNull = (list: readonly unknown[]): readonly unknown[] | null => (isGivenEmpty(list) ? [] : null);

function validateAttribute(attribute: DeviceAttribute, path: string): FieldError[] {
  const { bool, int, string: text, version, bools, ints, strings, versions } = attribute;
  const errors: FieldError[] = [];
  if (text !== undefined) errors.push(...validateText(text, `${path}.string`));
  if (version !== undefined) errors.push(...validateVersion(version, `${path}.version`));
  for (const list of LISTS) {
    const values: readonly (boolean | number | string)[] | undefined = attribute[list];
    if (values === undefined) continue;
    const at = `${path}.${list}`;
    if (values.length === 0) errors.push(invalid(at, [], "must not be empty if specified"));
    for (const [i, value] of values.entries())
      if (list === "strings") errors.push(...validateText(String(value), `${at}[${i}]`));
      else if (list === "versions") errors.push(...validateVersion(String(value), `${at}[${i}]`));
  }
  const all = [int, bool, text, version, ints, bools, strings, versions];
  const count = all.filter((value) => value !== undefined).length;
  const words = "exactly one value must be specified";
  if (count === 0) errors.push(invalid(path, "", words));
  if (count > 1) errors.push(invalid(path, Object.fromEntries(VALUES.map((name, i) => [name, all[i] ?? null])), words));
  return errors;
}

const validateText = (text: string, path: string): FieldError[] =>
  Buffer.byteLength(text) > MAX_VALUE_BYTES ? [tooLong(path, MAX_VALUE_BYTES)] : [];

function validateVersion(version: string, path: string): FieldError[] {
  const words = "must be a string compatible with semver.org spec 2.0.0";
  return [...(SEMANTIC.test(version) ? [] : [invalid(path, version, words)]), ...validateText(version, path)];
}

const amountOf = (text: string | undefined): bigint => parseQuantity(text ?? "0")?.nano ?? 0n;
const NANO = 1_000_000_000n;
/** Away from zero. */
const wholeOf = (nano: bigint): bigint => (nano < 0n ? -wholeOf(-nano) : (nano + NANO - 1n) / NANO);

/** Printed in the unit of the first. */
function sumOf(a: string, b: string): string {
  const [first, second] = [parseQuantity(a), parseQuantity(b)];
  if (first === undefined || second === undefined) return a;
  return formatQuantity({ ...first, nano: first.nano + second.nano });
}

function validateCapacity(capacity: DeviceCapacity, shared: boolean, path: string): FieldError[] {
  const policy = capacity.requestPolicy;
  if (policy === undefined) return [];
  if (!shared) return [fieldForbidden(path, "allowMultipleAllocations must be true")];
  const { validValues = [], validRange, default: preset } = policy;
  if (validValues.length > 0 && validRange !== undefined)
    return [
      fieldForbidden(
        path,
        'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time',
      ),
    ];
  if (validValues.length > 0)
    return preset === undefined
      ? [required(`${path}.default`, "required when validValues is defined")]
      : validateOptions(preset, capacity.value, validValues, `${path}.validValues`);
  if (validRange === undefined) return [];
  return preset === undefined
    ? [required(`${path}.default`, "required when validRange is defined")]
    : validateRange(preset, capacity.value, validRange, `${path}.validRange`);
}

function validateOptions(preset: string, whole: string, options: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, option] of options.entries())
    if (i > 0 && amountOf(options[i - 1]) > amountOf(option))
      errors.push(invalid(`${path}[${i}]`, option, "values must be sorted in ascending order"));
  errors.push(
    ...validateSet(
      options,
      MAX_OPTIONS,
      path,
      (option) => String(wholeOf(amountOf(option))),
      (option, at) =>
        amountOf(option) > amountOf(whole)
          ? [invalid(at, option, `option is larger than capacity value: ${whole}`)]
          : [],
    ),
  );
  const listed = options.length <= MAX_OPTIONS && options.some((option) => amountOf(option) === amountOf(preset));
  if (!listed) errors.push(invalid(path, preset, "default value is not valid according to the requestPolicy"));
  return errors;
}

function validateRange(
  preset: string,
  whole: string,
  { min, max, step }: { readonly min?: string; readonly max?: string; readonly step?: string },
  path: string,
): FieldError[] {
  if (min === undefined) return [required(`${path}.min`, "required when validRange is defined")];
  const errors: FieldError[] = [];
  const check = (wrong: boolean, field: string, value: string, words: string) => {
    if (wrong) errors.push(invalid(`${path}.${field}`, value, words));
  };
  check(amountOf(min) > amountOf(whole), "min", min, `min is larger than capacity value: ${whole}`);
  check(amountOf(preset) < amountOf(min), "min", preset, `default is less than min: ${min}`);
  if (max !== undefined) {
    check(amountOf(min) > amountOf(max), "max", min, `min is larger than max: ${max}`);
    check(amountOf(max) > amountOf(whole), "max", max, `max is larger than capacity value: ${whole}`);
    check(amountOf(preset) > amountOf(max), "max", preset, `default is more than max: ${max}`);
  }
  if (step === undefined) return errors;
  const sum = sumOf(min, step);
  check(
    amountOf(min) + amountOf(step) > amountOf(whole),
    "step",
    step,
    `one step ${sum} is larger than capacity value: ${whole}`,
  );
  const unit = amountOf(step) / NANO;
  for (const value of max === undefined ? [preset] : [preset, max])
    check(
      unit !== 0n && ((amountOf(value) - amountOf(min)) / NANO) % unit !== 0n,
      "step",
      value,
      `value is not a multiple of a given step (${step}) from (${min})`,
    );
  return errors;
}
