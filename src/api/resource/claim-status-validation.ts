/** What the scheduler and drivers say of a claim. Upstream: pkg/apis/resource/validation/validation.go (ValidateResourceClaimStatusUpdate) */
import type { HookContext } from "../../machinery/resource.ts";
import { checkText } from "../../machinery/validation/checks.ts";
import { validateConditions } from "../../machinery/validation/conditions.ts";
import {
  type FieldError,
  duplicate,
  fieldForbidden,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
} from "../../machinery/validation/field-error.ts";
import { formatIp, parseIp } from "../../machinery/validation/ip.ts";
import { isDns1123Label } from "../../machinery/validation/names.ts";
import { validateNodeSelector } from "../core/v1/pod/validation/scheduling.ts";
import type { AllocationResult, ResourceClaim } from "../generated/resource.v1.ts";
import { internalValue } from "../internal-value.ts";
import { semanticEqual } from "../semantic-equal.ts";
import { validateBinding } from "./slice-validation.ts";
import {
  checkAdminNamespace,
  MAX_REQUESTS,
  namesOf,
  validateConfiguration,
  validateDriverName,
  validatePoolName,
  validateRaw,
  validateReference,
  validateSet,
} from "./validation.ts";

const MAX_RESERVED = 256;
const MAX_RESULTS = 32;
const MAX_CONDITIONS = 8;
const MAX_ADDRESSES = 16;

type Status = NonNullable<ResourceClaim["status"]>;
type Result = NonNullable<NonNullable<AllocationResult["devices"]>["results"]>[number];

export function validateClaimStatus(claim: ResourceClaim, old: ResourceClaim, context: HookContext): FieldError[] {
  const [results, before] = [claim, old].map(({ status }) => status?.allocation?.devices?.results ?? []);
  const asking = before!.some(isForAdmin) ? -1 : results!.findIndex(isForAdmin);
  return [
    ...(asking < 0
      ? []
      : checkAdminNamespace(
          claim.metadata.namespace ?? "",
          `status.allocation.devices.results[${asking}].adminAccess`,
          context,
        )),
    ...(context.refused ?? []),
    ...validateStatus(claim, old),
  ];
}

const isForAdmin = ({ adminAccess }: Result): boolean => adminAccess === true;

function validateStatus({ metadata, spec, status = {} }: ResourceClaim, old: ResourceClaim): FieldError[] {
  const reserved = status.reservedFor ?? [];
  const path = "status.reservedFor";
  const errors = validateSet(
    reserved,
    MAX_RESERVED,
    path,
    ({ uid }) => uid,
    (reference, at) =>
      (["resource", "name", "uid"] as const)
        .filter((field) => !reference[field])
        .map((field) => required(`${at}.${field}`)),
  );
  errors.push(...validateDevices(status));
  if (reserved.length > 0 && status.allocation === undefined)
    errors.push(fieldForbidden(path, "may not be specified when `allocated` is not set"));
  const known = new Set((old.status?.reservedFor ?? []).map(({ uid }) => uid));
  if (status.allocation !== undefined && metadata.deletionTimestamp !== undefined)
    if (reserved.some(({ uid }) => !known.has(uid)))
      errors.push(
        fieldForbidden(
          path,
          "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set",
        ),
      );
  const before = old.status?.allocation;
  if (status.allocation === undefined) return errors;
  if (before === undefined)
    return [...errors, ...validateAllocation(status.allocation, namesOf(spec?.devices?.requests ?? []))];
  if (!semanticEqual(status.allocation, before)) {
    const shown = internalValue(status.allocation, "io.k8s.api.resource.v1.AllocationResult");
    errors.push(invalid("status.allocation", shown, "field is immutable"));
  }
  return errors;
}

/** New results alone: those that are there were let in by the rules of their time. */
function validateAllocation({ devices, nodeSelector }: AllocationResult, names: ReadonlySet<string>): FieldError[] {
  const path = "status.allocation.devices";
  const { results = [], config = [] } = devices ?? {};
  const errors: FieldError[] = [];
  if (results.length > MAX_RESULTS) errors.push(tooMany(`${path}.results`, results.length, MAX_RESULTS));
  else
    for (const [i, result] of results.entries()) errors.push(...validateResult(result, `${path}.results[${i}]`, names));
  if (config.length > 2 * MAX_REQUESTS) errors.push(tooMany(`${path}.config`, config.length, 2 * MAX_REQUESTS));
  else
    for (const [i, one] of config.entries()) {
      const at = `${path}.config[${i}]`;
      if (!one.source) errors.push(required(`${at}.source`));
      else if (one.source !== "FromClaim" && one.source !== "FromClass")
        errors.push(notSupported(`${at}.source`, one.source, ["FromClaim", "FromClass"]));
      errors.push(
        ...validateSet(
          one.requests ?? [],
          MAX_REQUESTS,
          `${at}.requests`,
          (name) => name,
          (name, where) => validateReference(name, where, names),
        ),
        ...validateConfiguration(one, at),
      );
    }
  if (nodeSelector !== undefined)
    errors.push(
      ...validateNodeSelector(nodeSelector, "status.allocation.nodeSelector", { allowInvalidLabelValues: false }),
    );
  return errors;
}

function validateResult(result: Result, path: string, names: ReadonlySet<string>): FieldError[] {
  return [
    ...validateReference(result.request ?? "", `${path}.request`, names),
    ...validateDevice(result, path),
    ...validateBinding(result, path),
    ...validateShare(result.shareID, path),
  ];
}

interface Device {
  readonly driver?: string;
  readonly pool?: string;
  readonly device?: string;
  readonly shareID?: string;
}

const validateDevice = ({ driver = "", pool = "", device = "" }: Device, path: string): FieldError[] => [
  ...validateDriverName(driver, `${path}.driver`),
  ...validatePoolName(pool, `${path}.pool`),
  ...checkText(device, `${path}.device`, isDns1123Label),
];

function validateShare(id: string | undefined, path: string): FieldError[] {
  if (id === undefined) return [];
  const hex = id.length === 36 ? id : /^(?:urn:uuid:(.{36})|\{(.{36})\}|(.{32}))$/i.exec(id)?.slice(1).join("");
  const problem =
    hex === undefined
      ? `error validating uid: invalid UUID length: ${Buffer.byteLength(id)}`
      : !/^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$/i.test(hex)
        ? "error validating uid: invalid UUID format"
        : id !== id.toLowerCase() || id.length !== 36
          ? "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
          : undefined;
  return problem === undefined ? [] : [invalid(`${path}.shareID`, id, problem)];
}

const shownDevice = ({ driver = "", pool = "", device = "", shareID = "" }: Device) => ({
  Driver: driver,
  Pool: pool,
  Device: device,
  ShareID: shareID,
});

/** What drivers report of each device that the claim has. */
function validateDevices({ devices = [], allocation }: Status): FieldError[] {
  const keyOf = (device: Device) => JSON.stringify(shownDevice(device));
  const allocated = new Set((allocation?.devices?.results ?? []).map(keyOf));
  const errors = devices.flatMap((device, i) => {
    const path = `status.devices[${i}]`;
    const { conditions = [], data } = device;
    return [
      ...validateDevice(device, path),
      ...validateShare(device.shareID, path),
      ...(allocated.has(keyOf(device))
        ? []
        : [invalid(path, shownDevice(device), "must be an allocated device in the claim")]),
      ...(conditions.length > MAX_CONDITIONS ? [tooMany(`${path}.conditions`, conditions.length, MAX_CONDITIONS)] : []),
      ...validateConditions(conditions, `${path}.conditions`),
      ...(data === undefined ? [] : validateRaw(data, `${path}.data`)),
      ...validateNetwork(device.networkData, `${path}.networkData`),
    ];
  });
  const seen = new Set<string>();
  for (const [i, device] of devices.entries()) {
    if (seen.has(keyOf(device))) errors.push(duplicate(`status.devices[${i}]`, shownDevice(device)));
    seen.add(keyOf(device));
  }
  return errors;
}

function validateNetwork(data: NonNullable<Status["devices"]>[number]["networkData"], path: string): FieldError[] {
  const { interfaceName = "", hardwareAddress = "", ips = [] } = data ?? {};
  return [
    ...(Buffer.byteLength(interfaceName) > 256 ? [tooLong(`${path}.interfaceName`, 256)] : []),
    ...(Buffer.byteLength(hardwareAddress) > 128 ? [tooLong(`${path}.hardwareAddress`, 128)] : []),
    ...validateSet(ips, MAX_ADDRESSES, `${path}.ips`, (address) => address, validateInterfaceAddress),
  ];
}

/** An address with the length of its network's prefix. */
function validateInterfaceAddress(text: string, path: string): FieldError[] {
  const [address = "", bits = "", ...more] = text.split("/");
  const ip = parseIp(address);
  const most = address.includes(":") ? 128 : 32;
  if (ip === undefined || more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most)
    return [invalid(path, text, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)")];
  const canonical = `${formatIp(ip)}/${Number(bits)}`;
  return text === canonical ? [] : [invalid(path, text, `must be in canonical form (${JSON.stringify(canonical)})`)];
}

interface Devices {
  readonly status?: {
    readonly devices?: readonly Device[];
    readonly allocation?: { readonly devices?: { readonly results?: readonly Device[] } };
  };
}

/** What a driver said of a device goes with the device. */
export function dropDeallocatedDevices(draft: Devices, old: Devices): void {
  const keyOf = (device: Device) => JSON.stringify(shownDevice(device));
  const gone = new Set((old.status?.allocation?.devices?.results ?? []).map(keyOf));
  for (const result of draft.status?.allocation?.devices?.results ?? []) gone.delete(keyOf(result));
  const status = draft.status as { devices?: readonly Device[] } | undefined;
  if (status?.devices === undefined || gone.size === 0) return;
  status.devices = status.devices.filter((device) => !gone.has(keyOf(device)));
  if (status.devices.length === 0) delete status.devices;
}
