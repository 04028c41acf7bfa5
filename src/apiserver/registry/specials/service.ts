/** Cluster IPs and node ports of services: taken before the strategy runs, given back when the write fails. Upstream: pkg/registry/core/service/storage. */
import { StatusError } from "../../../machinery/status.ts";
import { invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import type { Services } from "../context.ts";
import { AllocationError } from "./allocators.ts";
import type { Finish, StorageHooks } from "./hooks.ts";

interface Taken {
  readonly undo: (() => void)[];
  readonly onSuccess: (() => void)[];
}

export const serviceHooks: StorageHooks = {
  beginCreate(services, draft) {
    const taken: Taken = { undo: [], onSuccess: [] };
    return guarded(taken, () => {
      normalise(draft, undefined);
      takeClusterIp(services, draft, undefined, taken);
      takeNodePorts(services, draft, undefined, taken);
      takeHealthCheckPort(services, draft, undefined, taken);
    });
  },
  beginUpdate(services, draft, old) {
    const taken: Taken = { undo: [], onSuccess: [] };
    return guarded(taken, () => {
      patchFromOld(draft, old);
      normalise(draft, old);
      takeClusterIp(services, draft, old, taken);
      takeNodePorts(services, draft, old, taken);
      takeHealthCheckPort(services, draft, old, taken);
    });
  },
  afterDelete({ allocators }, { spec }) {
    for (const ip of spec.clusterIPs ?? []) if (isAddress(ip)) allocators.clusterIPs.release(ip);
    for (const port of nodePortsOf(spec)) allocators.nodePorts.release(port);
    if (needsHealthCheck(spec) && spec.healthCheckNodePort) allocators.nodePorts.release(spec.healthCheckNodePort);
  },
};

function guarded(taken: Taken, act: () => void): Finish {
  const undo = () => {
    for (const step of taken.undo.splice(0)) step();
  };
  try {
    act();
  } catch (error) {
    undo();
    throw error;
  }
  return (written) => {
    if (!written) undo();
    else for (const step of taken.onSuccess.splice(0)) step();
  };
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
function normalise(draft: any, old: any): void {
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
  spec.ipFamilyPolicy ??= "SingleStack";
  spec.ipFamilies ??= ["IPv4"];
  spec.internalTrafficPolicy ??= "Cluster";
}

function takeClusterIp({ allocators }: Services, draft: any, old: any, taken: Taken): void {
  const { spec } = draft;
  const { clusterIPs: pool } = allocators;
  const before: readonly string[] = old === undefined ? [] : (old.spec.clusterIPs ?? []);
  if (!needsClusterIp(spec)) {
    for (const ip of before) if (isAddress(ip)) taken.onSuccess.push(() => pool.release(ip));
    return;
  }
  const asked = spec.clusterIPs?.[0] ?? spec.clusterIP ?? "";
  if (asked === "None") {
    spec.clusterIP = "None";
    spec.clusterIPs = ["None"];
    return;
  }
  if (isAddress(asked)) {
    if (before.includes(asked)) return;
    if (!/^\d+\.\d+\.\d+\.\d+$/.test(asked)) return; // Left to validation.
    try {
      pool.take(asked);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      throw invalidObject("", "Service", draft.metadata.name, [
        invalid("spec.clusterIPs", [asked], `failed to allocate IP ${asked}: ${error.message}`),
      ]);
    }
    taken.undo.push(() => pool.release(asked));
    spec.clusterIP = asked;
    spec.clusterIPs ??= [asked];
    return;
  }
  let ip: string;
  try {
    ip = pool.next();
  } catch (error) {
    const why = `failed to allocate a serviceIP for Service ${JSON.stringify(draft.metadata.name)}: ${(error as Error).message}`;
    throw new StatusError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
  }
  taken.undo.push(() => pool.release(ip));
  spec.clusterIP = ip;
  spec.clusterIPs = [ip];
}

function takeNodePorts({ allocators }: Services, draft: any, old: any, taken: Taken): void {
  const { spec } = draft;
  const { nodePorts: pool } = allocators;
  const before = new Set(old === undefined ? [] : nodePortsOf(old.spec));
  if (!needsNodePort(spec)) {
    // Ports of a service that needs none any more go with the type, unless the client insists.
    if (old !== undefined && needsNodePort(old.spec))
      for (const port of spec.ports ?? []) if (before.has(port.nodePort)) delete port.nodePort;
    const kept = new Set(nodePortsOf(spec));
    for (const port of before) if (!kept.has(port)) taken.onSuccess.push(() => pool.release(port));
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
      pool.take(number);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      throw invalidObject("", "Service", draft.metadata.name, [
        invalid(`spec.ports[${i}].nodePort`, number, error.message),
      ]);
    }
    taken.undo.push(() => pool.release(number));
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
      number = pool.next();
    } catch (error) {
      const why = `failed to allocate a nodePort: ${(error as Error).message}`;
      throw new StatusError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
    }
    taken.undo.push(() => pool.release(number));
    mine.set(number, new Set([port.protocol ?? "TCP"]));
    port.nodePort = number;
  }
  const kept = new Set(nodePortsOf(spec));
  for (const port of before) if (!kept.has(port)) taken.onSuccess.push(() => pool.release(port));
}

function takeHealthCheckPort({ allocators }: Services, draft: any, old: any, taken: Taken): void {
  const { spec } = draft;
  const { nodePorts: pool } = allocators;
  const before: number = old !== undefined && needsHealthCheck(old.spec) ? (old.spec.healthCheckNodePort ?? 0) : 0;
  if (!needsHealthCheck(spec)) {
    if (before === 0) return;
    taken.onSuccess.push(() => pool.release(before));
    // It goes with the need for it, unless the client insists.
    if (spec.healthCheckNodePort === before) delete spec.healthCheckNodePort;
    return;
  }
  if (before !== 0) return; // Validation sees to it that it stays.
  const asked: number = spec.healthCheckNodePort ?? 0;
  let port = asked;
  try {
    if (asked === 0) port = pool.next();
    else pool.take(asked);
  } catch (error) {
    if (!(error instanceof AllocationError)) throw error;
    throw new StatusError(
      "Unknown",
      asked === 0
        ? `failed to allocate a HealthCheck NodePort ${asked}: ${error.message}`
        : `failed to allocate requested HealthCheck NodePort ${asked}: ${error.message}`,
      {},
      { code: 500 },
    );
  }
  taken.undo.push(() => pool.release(port));
  spec.healthCheckNodePort = port;
}

function nodePortsOf(spec: any): readonly number[] {
  return (spec.ports ?? []).flatMap((port: any) => (port.nodePort ? [port.nodePort as number] : []));
}
