/**
 * Allocates the cluster IPs and node ports of a service before the strategy runs, and releases them if the write fails.
 * Upstream: pkg/registry/core/service/storage.
 */
import { StatusError } from "../../../machinery/status.ts";
import { invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import type { Services } from "../context.ts";
import { AllocationError } from "./allocation-error.ts";
import type { Finish, StorageHooks } from "./hooks.ts";
import { settleFamilies } from "./ip-families.ts";
import type { ClusterIPs, Owner } from "./cluster-ips.ts";
import { familyOf } from "./ip-range.ts";
import type { IpFamily } from "./ip-range.ts";

interface Taken {
  readonly dryRun: boolean;
  readonly undo: (() => Promise<void>)[];
  readonly onSuccess: (() => Promise<void>)[];
}

export const serviceHooks: StorageHooks = {
  beginCreate(services, draft, { dryRun }) {
    const taken: Taken = { dryRun, undo: [], onSuccess: [] };
    return guarded(services, draft, taken, async () => {
      normalise(services, draft, undefined);
      await takeClusterIps(services, draft, undefined, taken);
      await takeNodePorts(services, draft, undefined, taken);
      await takeHealthCheckPort(services, draft, undefined, taken);
    });
  },
  beginUpdate(services, draft, old, { dryRun }) {
    const taken: Taken = { dryRun, undo: [], onSuccess: [] };
    return guarded(services, draft, taken, async () => {
      patchFromOld(draft, old);
      normalise(services, draft, old);
      await takeClusterIps(services, draft, old, taken);
      await takeNodePorts(services, draft, old, taken);
      await takeHealthCheckPort(services, draft, old, taken);
    });
  },
  async afterDelete(services, { metadata, spec }) {
    const { clusterIPs, nodePorts } = services.allocators;
    const ports = needsHealthCheck(spec) && spec.healthCheckNodePort ? [spec.healthCheckNodePort] : [];
    await settle(services, metadata, [
      ...(spec.clusterIPs ?? []).filter(isAddress).map((ip: string) => () => clusterIPs.release(ip, metadata)),
      ...[...new Set([...nodePortsOf(spec), ...ports])].map((port) => () => nodePorts.release(port)),
    ]);
  },
};

async function guarded(services: Services, draft: any, taken: Taken, act: () => Promise<void>): Promise<Finish> {
  const { metadata } = draft;
  const undo = () => settle(services, metadata, taken.undo.splice(0));
  try {
    await act();
  } catch (error) {
    await undo();
    throw error;
  }
  return (written) => (written ? settle(services, metadata, taken.onSuccess.splice(0)) : undo());
}

/** What can't be given back now is found by the repair: the write that it belongs to isn't undone for that. */
async function settle({ log }: Services, { namespace, name }: any, steps: readonly (() => Promise<void>)[]) {
  if (steps.length === 0) return;
  for (const result of await Promise.allSettled(steps.map((step) => step())))
    if (result.status === "rejected")
      log.error("failed to release what a service held", result.reason, { service: `${namespace}/${name}` });
}

const isAddress = (ip: unknown): ip is string => typeof ip === "string" && ip !== "" && ip !== "None";
const needsClusterIp = (spec: any) => spec.type !== "ExternalName";
const needsNodePort = (spec: any) =>
  spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false);

/** Load balancers that keep to nodes with endpoints ask each node on a port of its own. */
const needsHealthCheck = (spec: any) => spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";

/** A client that replaces a service need not know what was allocated for it. */
function patchFromOld(draft: any, old: any): void {
  const { spec } = draft;
  if (needsClusterIp(old.spec) && needsClusterIp(spec)) {
    if ((spec.clusterIP ?? "") === "") spec.clusterIP = old.spec.clusterIP;
    if ((spec.clusterIPs ?? []).length === 0 && spec.clusterIP === old.spec.clusterIP)
      spec.clusterIPs = old.spec.clusterIPs;
  }
  if (needsHealthCheck(old.spec) && needsHealthCheck(spec) && !spec.healthCheckNodePort)
    spec.healthCheckNodePort = old.spec.healthCheckNodePort;
  if (needsNodePort(old.spec) && needsNodePort(spec))
    for (const port of spec.ports ?? []) {
      if (port.nodePort) continue;
      const before = old.spec.ports?.find((other: any) => (other.name ?? "") === (port.name ?? ""));
      if (
        before?.nodePort &&
        !spec.ports.some(
          (other: any) => other !== port && other.nodePort === before.nodePort && other.protocol === before.protocol,
        )
      )
        port.nodePort = before.nodePort;
    }
}

/** `clusterIP` is the first of `clusterIPs`, whichever the client set; families follow. */
function normalise({ allocators }: Services, draft: any, old: any): void {
  const { spec } = draft;
  if (!needsClusterIp(spec)) {
    for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"])
      if (old === undefined || JSON.stringify(spec[field]) === JSON.stringify(old.spec[field])) delete spec[field];
    return;
  }
  const ip = spec.clusterIP ?? "";
  const ips: readonly string[] = spec.clusterIPs ?? [];
  if (old === undefined) {
    if (ip !== "" && ips.length === 0) spec.clusterIPs = [ip];
  } else {
    const before = old.spec.clusterIP ?? "";
    const sameIps = JSON.stringify(ips) === JSON.stringify(old.spec.clusterIPs ?? []);
    if (ip !== before && ip === "" && sameIps) delete spec.clusterIPs;
    else if (ip !== before && sameIps && ip !== "") spec.clusterIPs = [ip, ...ips.slice(1)];
  }
  const errors = settleFamilies(spec, old?.spec, allocators.clusterIPs.families);
  if (errors.length > 0) throw invalidObject("", "Service", draft.metadata.name, errors);
  spec.internalTrafficPolicy ??= "Cluster";
}

async function takeClusterIps({ allocators }: Services, draft: any, old: any, taken: Taken): Promise<void> {
  const { metadata, spec } = draft;
  const { namespace, name } = metadata;
  const owner = { namespace, name };
  const { clusterIPs: pool } = allocators;
  const before: readonly string[] = old === undefined ? [] : (old.spec.clusterIPs ?? []).filter(isAddress);
  const give = (ip: string) => taken.dryRun || taken.onSuccess.push(() => pool.release(ip, owner));
  if (!needsClusterIp(spec)) {
    for (const ip of before) give(ip);
    return;
  }
  const asked: readonly string[] = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []);
  if (asked[0] === "None") {
    spec.clusterIP = "None";
    spec.clusterIPs = ["None"];
    return;
  }
  if (asked.some((ip) => familyOf(ip) === undefined)) return; // Left to validation.
  const families: readonly IpFamily[] = spec.ipFamilies ?? [];
  const ips = [...asked];
  for (const [i, family] of families.entries()) {
    const wanted = asked[i];
    if (wanted !== undefined && before.includes(wanted)) continue;
    ips[i] = await takeClusterIp(draft, family, wanted, taken, pool, owner);
    if (!taken.dryRun) taken.undo.push(() => pool.release(ips[i]!, owner));
  }
  for (const ip of before) if (!ips.includes(ip) && old.spec.clusterIPs.indexOf(ip) > 0) give(ip);
  spec.clusterIP = ips[0];
  spec.clusterIPs = ips;
}

async function takeClusterIp(
  draft: any,
  family: IpFamily,
  wanted: string | undefined,
  { dryRun }: Taken,
  pool: ClusterIPs,
  owner: Owner,
): Promise<string> {
  try {
    if (wanted === undefined) return await pool.next(family, owner, dryRun);
    await pool.take(wanted, owner, dryRun);
    return wanted;
  } catch (error) {
    if (!(error instanceof AllocationError)) throw error;
    if (wanted !== undefined)
      throw invalidObject("", "Service", draft.metadata.name, [
        invalid("spec.clusterIPs", draft.spec.clusterIPs, `failed to allocate IP ${wanted}: ${error.message}`),
      ]);
    const why = `failed to allocate a serviceIP for Service ${JSON.stringify(draft.metadata.name)}: ${error.message}`;
    throw new StatusError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
  }
}

async function takeNodePorts({ allocators }: Services, draft: any, old: any, taken: Taken): Promise<void> {
  const { spec } = draft;
  const { nodePorts: pool } = allocators;
  const before = new Set(old === undefined ? [] : nodePortsOf(old.spec));
  if (!needsNodePort(spec)) {
    // Ports of a service that needs none any more go with the type, unless the client insists.
    if (old !== undefined && needsNodePort(old.spec))
      for (const port of spec.ports ?? []) if (before.has(port.nodePort)) delete port.nodePort;
    const kept = new Set(nodePortsOf(spec));
    for (const port of before) if (!kept.has(port) && !taken.dryRun) taken.onSuccess.push(() => pool.release(port));
    return;
  }
  const mine = new Map<number, Set<string>>();
  for (const [i, port] of (spec.ports ?? []).entries()) {
    if (!port.nodePort) continue;
    const protocols = mine.get(port.nodePort);
    if (protocols !== undefined) {
      protocols.add(port.protocol ?? "TCP");
      continue;
    }
    mine.set(port.nodePort, new Set([port.protocol ?? "TCP"]));
    if (before.has(port.nodePort)) continue;
    const number: number = port.nodePort;
    try {
      await pool.take(number, taken.dryRun);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      throw invalidObject("", "Service", draft.metadata.name, [
        invalid(`spec.ports[${i}].nodePort`, number, error.message),
      ]);
    }
    if (!taken.dryRun) taken.undo.push(() => pool.release(number));
  }
  for (const port of spec.ports ?? []) {
    if (port.nodePort) continue;
    // The same port over TCP and UDP (DNS) gets one number.
    const shared = (spec.ports as any[]).find(
      (other) => other !== port && other.port === port.port && other.nodePort && other.protocol !== port.protocol,
    )?.nodePort as number | undefined;
    if (shared !== undefined && !mine.get(shared)?.has(port.protocol ?? "TCP")) {
      port.nodePort = shared;
      mine.get(shared)?.add(port.protocol ?? "TCP");
      continue;
    }
    let number: number;
    try {
      number = await pool.next(taken.dryRun);
    } catch (error) {
      const why = `failed to allocate a nodePort: ${(error as Error).message}`;
      throw new StatusError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
    }
    if (!taken.dryRun) taken.undo.push(() => pool.release(number));
    mine.set(number, new Set([port.protocol ?? "TCP"]));
    port.nodePort = number;
  }
  const kept = new Set(nodePortsOf(spec));
  for (const port of before) if (!kept.has(port) && !taken.dryRun) taken.onSuccess.push(() => pool.release(port));
}

async function takeHealthCheckPort({ allocators }: Services, draft: any, old: any, taken: Taken): Promise<void> {
  const { spec } = draft;
  const { nodePorts: pool } = allocators;
  const before: number = old !== undefined && needsHealthCheck(old.spec) ? (old.spec.healthCheckNodePort ?? 0) : 0;
  if (!needsHealthCheck(spec)) {
    if (before === 0) return;
    if (!taken.dryRun) taken.onSuccess.push(() => pool.release(before));
    // It goes with the need for it, unless the client insists.
    if (spec.healthCheckNodePort === before) delete spec.healthCheckNodePort;
    return;
  }
  if (before !== 0) return; // Validation sees to it that it stays.
  const asked: number = spec.healthCheckNodePort ?? 0;
  let port = asked;
  try {
    if (asked === 0) port = await pool.next(taken.dryRun);
    else await pool.take(asked, taken.dryRun);
  } catch (error) {
    if (!(error instanceof AllocationError)) throw error;
    const why =
      asked === 0
        ? `failed to allocate a HealthCheck NodePort ${asked}: ${error.message}`
        : `failed to allocate requested HealthCheck NodePort ${asked}: ${error.message}`;
    throw new StatusError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
  }
  if (!taken.dryRun) taken.undo.push(() => pool.release(port));
  spec.healthCheckNodePort = port;
}

function nodePortsOf(spec: any): readonly number[] {
  return (spec.ports ?? []).flatMap((port: any) => (port.nodePort ? [port.nodePort as number] : []));
}
