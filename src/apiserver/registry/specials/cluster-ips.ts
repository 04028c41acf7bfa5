/**
 * Cluster IPs: an address is allocated by creating the IPAddress object of that name, so that only one of several servers can get it.
 * Upstream: pkg/registry/core/service/ipallocator/{ipallocator,cidrallocator}.go
 */
import { deepFreeze } from "../../../base/mutable.ts";
import { formatTime } from "../../../machinery/meta/time.ts";
import type { Clock, Random } from "../../../world/world.ts";
import { uuid } from "../../../world/world.ts";
import { recordUpdate } from "../managed-fields.ts";
import type { Registry } from "../registry.ts";
import { ExistsError } from "../../storage/store.ts";
import { storedOf } from "../../storage/entry.ts";
import { keyFor, prefixFor } from "../../storage/keys.ts";
import { AllocationError } from "./allocation-error.ts";
import type { AllocationMetrics } from "./allocation-metrics.ts";
import { familyOf, IpRange } from "./ip-range.ts";
import type { IpFamily } from "./ip-range.ts";

/** The service that an address is for. */
export interface Owner {
  readonly namespace: string;
  readonly name: string;
}

const ADDRESSES = "ipaddresses.networking.k8s.io";
const CIDRS = "servicecidrs.networking.k8s.io";
export const READ_FOR_ADDRESSES: readonly string[] = [CIDRS];
/** The object of the server's own ranges. */
const DEFAULT_CIDR = "kubernetes";
const MANAGED_BY = "ipallocator.k8s.io";
export const FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family";
const MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by";

interface Deps {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: AllocationMetrics;
}

export class ClusterIPs {
  /** `--service-cluster-ip-range`: one, or one of each family, the default family first. */
  readonly ranges: readonly IpRange[];
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #known = new Map<string, IpRange>();
  /** Where no IPAddress objects are served, the server remembers by itself. */
  readonly #remembered = new Set<string>();
  /** Creations under way here: others needn't try the same. */
  readonly #trying = new Set<string>();
  readonly #metrics: AllocationMetrics;

  constructor(cidrs: string, { registry, clock, random, metrics }: Deps) {
    this.ranges = cidrs.split(",").map((cidr) => this.#range(cidr.trim()));
    this.#registry = registry;
    this.#clock = clock;
    this.#random = random;
    this.#metrics = metrics;
    metrics.readAddresses(() => this.#countsNow());
  }

  /** The range that `kubernetes` is in. */
  get primary(): IpRange {
    return this.ranges[0]!;
  }
  get families(): readonly IpFamily[] {
    return this.ranges.map(({ family }) => family);
  }

  contains(ip: string): boolean {
    return this.#rangesNow().some((range) => range.contains(ip));
  }

  /** Takes this one. Throws an AllocationError where it isn't to be had. */
  async take(ip: string, owner: Owner, dryRun = false): Promise<void> {
    if (!this.contains(ip)) throw new AllocationError("the provided network does not match the current range");
    if (dryRun) return;
    const started = this.#clock.monotonic();
    const { cidr } = this.#rangesNow().find((range) => range.contains(ip))!;
    const taken = await this.claim(ip, owner);
    this.#metrics.address(cidr, "static", taken, this.#clock.monotonic() - started);
    if (!taken) throw new AllocationError("provided IP is already allocated");
  }

  /** Takes any free one. */
  async next(family: IpFamily, owner: Owner, dryRun = false): Promise<string> {
    const ranges = this.#rangesNow().filter((range) => range.family === family);
    if (dryRun && ranges.length > 0) return ranges[0]!.network;
    for (const range of ranges) {
      const started = this.#clock.monotonic();
      for (const ip of range.candidates(this.#random)) {
        if (this.#isTaken(ip) || this.#trying.has(ip) || !(await this.claim(ip, owner))) continue;
        this.#metrics.address(range.cidr, "dynamic", true, this.#clock.monotonic() - started);
        return ip;
      }
      this.#metrics.address(range.cidr, "dynamic", false, this.#clock.monotonic() - started);
    }
    throw new AllocationError("range is full");
  }

  /** Whether the address has become this service's: false where it is taken. */
  async claim(ip: string, owner: Owner): Promise<boolean> {
    const resource = this.#registry.named(ADDRESSES);
    if (resource === undefined) {
      if (this.#remembered.has(ip)) return false;
      this.#remembered.add(ip);
      return true;
    }
    const address = {
      apiVersion: "networking.k8s.io/v1",
      kind: "IPAddress",
      metadata: {
        name: ip,
        uid: uuid(this.#random),
        resourceVersion: "",
        creationTimestamp: formatTime(this.#clock.now()),
        labels: { [FAMILY_LABEL]: familyOf(ip)!, [MANAGED_BY_LABEL]: MANAGED_BY },
      },
      spec: { parentRef: { resource: "services", ...owner } },
    };
    const context = {
      services: { registry: this.#registry, clock: this.#clock },
      fieldManager: "kube-apiserver",
    };
    const owned = recordUpdate(context, resource, "", undefined, address);
    this.#trying.add(ip);
    try {
      await this.#registry
        .storage(resource)
        .store.create(keyFor(resource, "", ip), deepFreeze(storedOf(resource, owned)));
      return true;
    } catch (error) {
      if (error instanceof ExistsError) return false;
      throw error;
    } finally {
      this.#trying.delete(ip);
    }
  }

  /** Gives it back, if it is this service's, or anybody's where none is named. */
  async release(ip: string, owner?: Owner): Promise<void> {
    const resource = this.#registry.named(ADDRESSES);
    if (resource === undefined) {
      this.#remembered.delete(ip);
      return;
    }
    const { store, cache } = this.#registry.storage(resource);
    const key = keyFor(resource, "", ip);
    await store.update(key, cache.get(key), (current) => {
      if (current === undefined) return "same";
      const { parentRef } = (current.stored as any).spec;
      const isTheirs =
        owner === undefined || (parentRef?.namespace === owner.namespace && parentRef.name === owner.name);
      return isTheirs ? "delete" : "same";
    });
  }

  /** How many addresses of each range are taken, and how many aren't. */
  #countsNow(): readonly { readonly cidr: string; readonly taken: number; readonly free: number }[] {
    const resource = this.#registry.named(ADDRESSES);
    const taken =
      resource === undefined
        ? [...this.#remembered]
        : this.#registry
            .storage(resource)
            .cache.list({ prefix: prefixFor(resource, "") })
            .map((entry) => (entry.view(resource) as any).metadata.name as string);
    return this.#rangesNow().map((range) => {
      const count = taken.filter((ip) => range.contains(ip)).length;
      return { cidr: range.cidr, taken: count, free: range.size - count };
    });
  }

  #isTaken(ip: string): boolean {
    const resource = this.#registry.named(ADDRESSES);
    if (resource === undefined) return this.#remembered.has(ip);
    return this.#registry.storage(resource).cache.get(keyFor(resource, "", ip)) !== undefined;
  }

  /** Of all ServiceCIDR objects that are ready, the default one first; the server's own until that one has been told of, ready or not. */
  #rangesNow(): readonly IpRange[] {
    const resource = this.#registry.named(CIDRS);
    if (resource === undefined) return this.ranges;
    const objects: readonly any[] = this.#registry
      .storage(resource)
      .cache.list({ prefix: prefixFor(resource, "") })
      .map((entry) => entry.view(resource));
    const usable = objects.filter(isUsable);
    const isDefault = ({ metadata }: any) => metadata.name === DEFAULT_CIDR;
    const cidrs = [...usable.filter(isDefault), ...usable.filter((one) => !isDefault(one))].flatMap(
      ({ spec }) => spec.cidrs as readonly string[],
    );
    const own = objects.some((one) => isDefault(one) && isTold(one)) ? [] : this.ranges.map(({ cidr }) => cidr);
    return [...new Set([...own, ...cidrs])].map((cidr) => this.#range(cidr));
  }

  #range(cidr: string): IpRange {
    let range = this.#known.get(cidr);
    if (range === undefined) this.#known.set(cidr, (range = new IpRange(cidr)));
    return range;
  }
}

const isTold = ({ metadata, status }: any): boolean =>
  metadata.deletionTimestamp !== undefined || (status?.conditions ?? []).some(({ type }: any) => type === "Ready");

function isUsable({ metadata, status }: any): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return (status?.conditions ?? []).some(({ type, status: is }: any) => type === "Ready" && is === "True");
}
