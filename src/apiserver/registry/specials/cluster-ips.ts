/**
 * Cluster IPs: an address is taken by creating the IPAddress of its name, so that of several servers only one gets it.
 * Upstream: pkg/registry/core/service/ipallocator/{ipallocator,cidrallocator}.go
 */
import { deepFreeze } from "../../../base/mutable.ts";
import { formatTime } from "../../../machinery/meta/time.ts";
import type { Clock, Random } from "../../../world/world.ts";
import { uuid } from "../../../world/world.ts";
import type { Registry } from "../registry.ts";
import { ExistsError } from "../../storage/store.ts";
import { storedOf } from "../../storage/entry.ts";
import { keyFor, prefixFor } from "../../storage/watch-cache.ts";
import { AllocationError } from "./allocation-error.ts";
import { familyOf, IpRange } from "./ip-range.ts";
import type { IpFamily } from "./ip-range.ts";

/** The service that an address is for. */
export interface Owner {
  readonly namespace: string;
  readonly name: string;
}

const ADDRESSES = "ipaddresses.networking.k8s.io";
const CIDRS = "servicecidrs.networking.k8s.io";
const MANAGED_BY = "ipallocator.k8s.io";
export const FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family";
export const MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by";

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

  constructor(
    cidrs: string,
    { registry, clock, random }: { readonly registry: Registry; readonly clock: Clock; readonly random: Random },
  ) {
    this.ranges = cidrs.split(",").map((cidr) => this.#range(cidr.trim()));
    this.#registry = registry;
    this.#clock = clock;
    this.#random = random;
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
    if (!this.contains(ip)) {
      const family = familyOf(ip);
      const valid = this.#rangesNow().filter((range) => range.family === family);
      throw new AllocationError(
        `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${(valid.length > 0 ? valid : this.ranges).map(({ cidr }) => cidr).join(", ")}`,
      );
    }
    if (dryRun) return;
    if (!(await this.claim(ip, owner))) throw new AllocationError("provided IP is already allocated");
  }

  /** Takes any free one. */
  async next(family: IpFamily, owner: Owner, dryRun = false): Promise<string> {
    const ranges = this.#rangesNow().filter((range) => range.family === family);
    if (dryRun && ranges.length > 0) return ranges[0]!.network;
    for (const range of ranges)
      for (const ip of range.candidates(this.#random)) {
        if (this.#isTaken(ip) || this.#trying.has(ip)) continue;
        if (await this.claim(ip, owner)) return ip;
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
        generation: 1,
        creationTimestamp: formatTime(this.#clock.now()),
        labels: { [FAMILY_LABEL]: familyOf(ip)!, [MANAGED_BY_LABEL]: MANAGED_BY },
      },
      spec: { parentRef: { resource: "services", ...owner } },
    };
    this.#trying.add(ip);
    try {
      await this.#registry
        .storage(resource)
        .store.create(keyFor(resource, "", ip), deepFreeze(storedOf(resource, address)));
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

  #isTaken(ip: string): boolean {
    const resource = this.#registry.named(ADDRESSES);
    if (resource === undefined) return this.#remembered.has(ip);
    return this.#registry.storage(resource).cache.get(keyFor(resource, "", ip)) !== undefined;
  }

  /** The server's own, and those that were added as ServiceCIDR objects. */
  #rangesNow(): readonly IpRange[] {
    const resource = this.#registry.named(CIDRS);
    if (resource === undefined) return this.ranges;
    const added = this.#registry
      .storage(resource)
      .cache.list({ prefix: prefixFor(resource, "") })
      .map((entry) => entry.view(resource) as any)
      .filter(isUsable)
      .flatMap(({ spec }) => (spec.cidrs as readonly string[]).map((cidr) => this.#range(cidr)))
      .filter(({ cidr }) => !this.ranges.some((own) => own.cidr === cidr));
    return added.length === 0 ? this.ranges : [...this.ranges, ...added];
  }

  #range(cidr: string): IpRange {
    let range = this.#known.get(cidr);
    if (range === undefined) this.#known.set(cidr, (range = new IpRange(cidr)));
    return range;
  }
}

function isUsable({ metadata, status }: any): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return (status?.conditions ?? []).some(({ type, status: is }: any) => type === "Ready" && is === "True");
}
