/** Defaults and columns that claims, templates, slices and taint rules have in common in all versions. Upstream: pkg/apis/resource/v1/defaults.go */
import type { Mutable } from "../../base/mutable.ts";
import type { Column, HookContext } from "../../machinery/resource.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import { age, ageColumn, column, nameColumn } from "../columns.ts";
import { ifEmpty } from "../defaulting.ts";

interface Request {
  allocationMode?: string;
  count?: number;
  tolerations?: { operator?: string }[];
}
interface ClaimSpec {
  devices?: { requests?: (Request & { exactly?: Request; firstAvailable?: Request[]; deviceClassName?: string })[] };
}

export function defaultClaimSpec(spec: Mutable<ClaimSpec> | undefined): void {
  for (const request of spec?.devices?.requests ?? []) {
    if (request.exactly !== undefined) defaultRequest(request.exactly);
    // The flat form of v1beta1.
    if (request.deviceClassName) defaultRequest(request);
    else for (const toleration of request.tolerations ?? []) ifEmpty(toleration, "operator", "Equal");
    for (const sub of request.firstAvailable ?? []) defaultRequest(sub);
  }
}

function defaultRequest(request: Request): void {
  ifEmpty(request, "allocationMode", "ExactCount");
  if (request.allocationMode === "ExactCount") ifEmpty(request, "count", 1);
  for (const toleration of request.tolerations ?? []) ifEmpty(toleration, "operator", "Equal");
}

interface ClaimStatus {
  allocation?: { devices?: { results?: { tolerations?: { operator?: string }[] }[] } };
}
export function defaultClaimStatus(status: Mutable<ClaimStatus> | undefined): void {
  for (const { tolerations } of status?.allocation?.devices?.results ?? [])
    for (const toleration of tolerations ?? []) ifEmpty(toleration, "operator", "Equal");
}

interface Claim extends KubeObject {
  readonly status?: { readonly allocation?: unknown; readonly reservedFor?: readonly unknown[] };
}
export const claimColumns: readonly Column<Claim>[] = [
  nameColumn,
  column("State", "string", ({ metadata, status }) => {
    const words = metadata.deletionTimestamp === undefined ? [] : ["deleted"];
    if (status?.allocation !== undefined) {
      words.push("allocated");
      if ((status.reservedFor ?? []).length > 0) words.push("reserved");
    } else if (words.length === 0) words.push("pending");
    return words.join(",");
  }),
  ageColumn,
];

export const plainColumns: readonly Column<KubeObject>[] = [nameColumn, ageColumn];

interface Slice extends KubeObject {
  readonly spec: { readonly nodeName?: string; readonly driver: string; readonly pool: { readonly name: string } };
}
export const sliceColumns: readonly Column<Slice>[] = [
  nameColumn,
  column("Node", "string", ({ spec }) => spec.nodeName ?? ""),
  column("Driver", "string", ({ spec }) => spec.driver ?? ""),
  column("Pool", "string", ({ spec }) => spec.pool?.name ?? ""),
  ageColumn,
];
export const sliceFields = {
  "spec.nodeName": ({ spec }: Slice) => spec.nodeName ?? "",
  "spec.driver": ({ spec }: Slice) => spec.driver ?? "",
};

interface TaintRule extends KubeObject {
  readonly spec: {
    readonly taint: {
      readonly key: string;
      readonly value?: string;
      readonly effect: string;
      readonly timeAdded?: string;
    };
  };
}
export const taintRuleColumns: readonly Column<TaintRule>[] = [
  nameColumn,
  column("Key", "string", ({ spec }) => spec.taint?.key ?? ""),
  column("Value", "string", ({ spec }) => spec.taint?.value ?? ""),
  column("Effect", "string", ({ spec }) => spec.taint?.effect ?? ""),
  column("TimeAdded", "string", ({ spec }, now) =>
    spec.taint?.timeAdded === undefined ? "" : age(spec.taint.timeAdded, now),
  ),
  ageColumn,
];

/** The clock starts when the taint is set, and again when its effect changes. */
export function stampTaint(rule: Mutable<TaintRule>, old: TaintRule | undefined, now: string): void {
  const taint = rule.spec?.taint;
  if (taint === undefined) return;
  const changed =
    old !== undefined && old.spec.taint.effect !== taint.effect && old.spec.taint.timeAdded === taint.timeAdded;
  if (taint.timeAdded === undefined || changed) taint.timeAdded = now;
}

const LISTS = ["bools", "ints", "strings", "versions"] as const;

interface Device {
  taints?: { timeAdded?: string }[];
  attributes?: Record<string, Partial<Record<(typeof LISTS)[number], unknown>>>;
  nodeAllocatableResourceMappings?: Record<string, { allocationMultiplier?: string }>;
}
interface DeviceList {
  spec?: { devices?: (Device & { basic?: Device })[] };
}

/** A device's own facts, which v1beta1 has one level further down. */
const devicesOf = ({ spec }: DeviceList): readonly Device[] =>
  (spec?.devices ?? []).flatMap((device) => [device, ...(device.basic === undefined ? [] : [device.basic])]);

export function defaultSlice(slice: KubeObject): void {
  for (const { nodeAllocatableResourceMappings: mappings } of devicesOf(slice as DeviceList))
    for (const mapping of Object.values(mappings ?? {})) ifEmpty(mapping, "allocationMultiplier", "1");
}

/** The clock of a taint that nobody has started starts now. */
export function stampSliceTaints(slice: KubeObject, now: string): void {
  for (const { taints } of devicesOf(slice as DeviceList)) for (const taint of taints ?? []) taint.timeAdded ??= now;
}

export function sliceWarnings({ spec }: { readonly spec?: { readonly driver?: string } }): readonly string[] {
  const driver = spec?.driver ?? "";
  return driver === driver.toLowerCase()
    ? []
    : [`spec.driver: driver names should be lowercase; ${JSON.stringify(driver)} contains uppercase characters`];
}

/** What is behind a gate and wasn't used before goes. */
export function dropDisabledOfSlice(
  slice: KubeObject,
  old: KubeObject | undefined,
  gates: HookContext["featureGates"],
) {
  const before = old === undefined ? [] : devicesOf(old as DeviceList);
  const allocatable = before.some(
    ({ nodeAllocatableResourceMappings: mappings = {} }) => Object.keys(mappings).length > 0,
  );
  const lists = before.some(({ attributes = {} }) =>
    Object.values(attributes).some((attribute) => LISTS.some((list) => attribute[list] !== undefined)),
  );
  for (const device of devicesOf(slice as DeviceList)) {
    if (gates.get("DRANodeAllocatableResources") !== true && !allocatable)
      delete device.nodeAllocatableResourceMappings;
    if (gates.get("DRAListTypeAttributes") !== true && !lists)
      for (const attribute of Object.values(device.attributes ?? {})) for (const list of LISTS) delete attribute[list];
  }
}
