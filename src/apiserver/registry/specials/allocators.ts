/** Numbers that must be unique in the cluster: cluster IPs and node ports. Rebuilt from the services there are when the server starts. */
import type { Random } from "../../../world/world.ts";
import { randomInt } from "../../../world/world.ts";

export interface Allocators {
  readonly clusterIPs: IpAllocator;
  readonly nodePorts: PortAllocator;
}

export class AllocationError extends Error {}

/** Addresses of one IPv4 range. The first is for `kubernetes`, so it is taken only when asked for. */
export class IpAllocator {
  readonly cidr: string;
  readonly #base: number;
  readonly #size: number;
  readonly #random: Random;
  readonly #taken = new Set<number>();

  constructor(cidr: string, random: Random) {
    this.cidr = cidr;
    const [address, bits] = cidr.split("/") as [string, string];
    this.#size = 2 ** (32 - Number(bits));
    this.#base = toNumber(address) - (toNumber(address) % this.#size);
    this.#random = random;
  }

  /** The first usable address. */
  get first(): string {
    return toAddress(this.#base + 1);
  }

  has(address: string): boolean {
    return this.#taken.has(toNumber(address));
  }

  take(address: string): void {
    const number = toNumber(address);
    if (!(number > this.#base && number < this.#base + this.#size - 1))
      throw new AllocationError(
        `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${this.cidr}`,
      );
    if (this.#taken.has(number)) throw new AllocationError("provided IP is already allocated");
    this.#taken.add(number);
  }

  /** Any free one, from the upper part of the range first: the lower is for people who choose. */
  next(): string {
    const usable = this.#size - 2;
    const reserved = Math.min(Math.max(16, Math.floor(this.#size / 16)), 256, Math.floor(usable / 2));
    const search = (from: number, count: number): string | undefined => {
      const offset = count > 0 ? randomInt(this.#random, count) : 0;
      for (let i = 0; i < count; i++) {
        const number = this.#base + 1 + from + ((offset + i) % count);
        if (this.#taken.has(number)) continue;
        this.#taken.add(number);
        return toAddress(number);
      }
      return undefined;
    };
    const found = search(reserved, usable - reserved) ?? search(1, reserved - 1);
    if (found === undefined) throw new AllocationError("range is full");
    return found;
  }

  release(address: string): void {
    this.#taken.delete(toNumber(address));
  }

  replaceAll(addresses: Iterable<string>): void {
    this.#taken.clear();
    for (const address of addresses) this.#taken.add(toNumber(address));
  }
}

export class PortAllocator {
  readonly range: string;
  readonly #from: number;
  readonly #to: number;
  readonly #random: Random;
  readonly #taken = new Set<number>();

  constructor(range: string, random: Random) {
    this.range = range;
    const [from, to] = range.split("-").map(Number) as [number, number];
    this.#from = from;
    this.#to = to;
    this.#random = random;
  }

  take(port: number): void {
    if (port < this.#from || port > this.#to)
      throw new AllocationError(`provided port is not in the valid range. The range of valid ports is ${this.range}`);
    if (this.#taken.has(port)) throw new AllocationError("provided port is already allocated");
    this.#taken.add(port);
  }

  has(port: number): boolean {
    return this.#taken.has(port);
  }

  next(): number {
    const count = this.#to - this.#from + 1;
    const offset = randomInt(this.#random, count);
    for (let i = 0; i < count; i++) {
      const port = this.#from + ((offset + i) % count);
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
    throw new AllocationError("range is full");
  }

  release(port: number): void {
    this.#taken.delete(port);
  }

  replaceAll(ports: Iterable<number>): void {
    this.#taken.clear();
    for (const port of ports) this.#taken.add(port);
  }
}

function toNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}
function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}
