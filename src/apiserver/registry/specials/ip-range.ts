/**
 * One range of addresses: which of them are for services, and in which order they are tried.
 * Upstream: pkg/registry/core/service/ipallocator/ipallocator.go
 */
import { formatIp, parseCidr, parseIp } from "../../../machinery/validation/ip.ts";
import type { Random } from "../../../world/world.ts";
import { randomInt } from "../../../world/world.ts";

export type IpFamily = "IPv4" | "IPv6";

export function familyOf(ip: string): IpFamily | undefined {
  const parsed = parseIp(ip);
  return parsed && (parsed.family === 4 ? "IPv4" : "IPv6");
}

export class IpRange {
  readonly cidr: string;
  readonly family: IpFamily;
  readonly #firstUsable: bigint;
  readonly #lastUsable: bigint;
  /** So many at the lower end are for people who choose. */
  readonly staticBand: number;

  constructor(cidr: string) {
    const parsed = parseCidr(cidr);
    if (parsed === undefined) throw new Error(`invalid service IP range ${cidr}`);
    this.cidr = cidr;
    this.family = parsed.family === 4 ? "IPv4" : "IPv6";
    const size = 1n << BigInt((parsed.family === 4 ? 32 : 128) - parsed.bits);
    const base = parsed.address - (parsed.address % size);
    this.#firstUsable = base + 1n;
    this.#lastUsable = base + size - (parsed.family === 4 ? 2n : 1n);
    this.staticBand = band(size, 16n, 256n, 16n);
  }

  /** How many addresses may be had. */
  get size(): number {
    return Number(this.#lastUsable - this.#firstUsable + 1n);
  }
  /** For the service `kubernetes`. */
  get first(): string {
    return this.#text(this.#firstUsable);
  }
  /** What a dry run is given. */
  get network(): string {
    return this.#text(this.#firstUsable - 1n);
  }

  contains(ip: string): boolean {
    const parsed = parseIp(ip);
    if (parsed === undefined || (parsed.family === 4 ? "IPv4" : "IPv6") !== this.family) return false;
    return parsed.value >= this.#firstUsable && parsed.value <= this.#lastUsable;
  }

  /** All usable addresses: first those above the static band from a random one on, then those in it. */
  *candidates(random: Random): Generator<string> {
    const from = this.#firstUsable + BigInt(this.staticBand);
    yield* this.#round(from, this.#lastUsable, random);
    if (this.staticBand > 0) yield* this.#round(this.#firstUsable, from - 1n, random);
  }

  *#round(from: bigint, to: bigint, random: Random): Generator<string> {
    if (to < from) return;
    const count = to - from + 1n;
    const start = anyBelow(count, random);
    for (let i = 0n; i < count; i++) yield this.#text(from + ((start + i) % count));
  }

  #text(value: bigint): string {
    return formatIp({ family: this.family === "IPv4" ? 4 : 6, value });
  }
}

/** How much of a range is kept for people who choose: the `step`th part within bounds, nothing of a small range. */
export function band(size: bigint, min: bigint, max: bigint, step: bigint): number {
  if (size <= min) return 0;
  const part = size / step;
  return Number(part < min ? min : part > max ? max : part);
}

function anyBelow(count: bigint, random: Random): bigint {
  const limit = 2 ** 31;
  if (count <= BigInt(limit)) return BigInt(randomInt(random, Number(count)));
  return ((BigInt(randomInt(random, limit)) << 31n) | BigInt(randomInt(random, limit))) % count;
}
