/** Allocates node CIDRs from the cluster's. Pure. Upstream: pkg/controller/nodeipam/ipam/cidrset */
import { parseCidr } from "../../machinery/validation/ip.ts";

interface Range {
  /** As one number, with `bits` in all. */
  readonly base: bigint;
  readonly prefix: number;
  readonly bits: 32 | 128;
}

function rangeOf(text: string): Range {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(`invalid CIDR address: ${text}`);
  const bits = cidr.family === 4 ? 32 : 128;
  const hostBits = BigInt(bits - cidr.bits);
  return { base: (cidr.address >> hostBits) << hostBits, prefix: cidr.bits, bits };
}

function formatRange({ base, prefix, bits }: Range): string {
  if (bits === 32) return `${[24n, 16n, 8n, 0n].map((shift) => (base >> shift) & 255n).join(".")}/${prefix}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((base >> BigInt(16 * (7 - i))) & 0xffffn).toString(16));
  return `${compress(groups)}/${prefix}`;
}

/** The longest run of zeros becomes `::`. */
function compress(groups: readonly string[]): string {
  let best = { start: 0, length: 0 };
  for (let i = 0; i < groups.length; i++) {
    let length = 0;
    while (groups[i + length] === "0") length++;
    if (length > best.length) best = { start: i, length };
  }
  if (best.length < 2) return groups.join(":");
  return `${groups.slice(0, best.start).join(":")}::${groups.slice(best.start + best.length).join(":")}`;
}

/** The node ranges of one cluster range. The cursor goes round, so that a range that came free isn't taken again at once. */
export class RangeSet {
  readonly #cluster: Range;
  readonly #nodePrefix: number;
  readonly #count: number;
  readonly #taken = new Set<number>();
  #cursor = 0;

  constructor(cluster: string, nodePrefix: number) {
    this.#cluster = rangeOf(cluster);
    this.#nodePrefix = nodePrefix;
    if (nodePrefix < this.#cluster.prefix || nodePrefix > this.#cluster.bits)
      throw new Error("New CIDR set failed; the node CIDR size is too big");
    this.#count = 2 ** Math.min(16, nodePrefix - this.#cluster.prefix);
  }

  get bits(): 32 | 128 {
    return this.#cluster.bits;
  }

  /** Takes the next free range; undefined when all are taken. */
  allocate(): string | undefined {
    for (let i = 0; i < this.#count; i++) {
      const index = (this.#cursor + i) % this.#count;
      if (this.#taken.has(index)) continue;
      this.#taken.add(index);
      this.#cursor = (index + 1) % this.#count;
      return this.#rangeAt(index);
    }
    return undefined;
  }

  /** Marks what overlaps `cidr` as taken; ranges outside the cluster's are none of ours. */
  occupy(cidr: string): void {
    for (const index of this.#overlapping(cidr)) this.#taken.add(index);
  }

  release(cidr: string): void {
    for (const index of this.#overlapping(cidr)) this.#taken.delete(index);
  }

  #rangeAt(index: number): string {
    const { base, bits } = this.#cluster;
    return formatRange({
      base: base + (BigInt(index) << BigInt(bits - this.#nodePrefix)),
      prefix: this.#nodePrefix,
      bits,
    });
  }

  #overlapping(cidr: string): readonly number[] {
    const range = rangeOf(cidr);
    if (range.bits !== this.#cluster.bits) return [];
    const shift = BigInt(range.bits - this.#nodePrefix);
    const last = range.base + (1n << BigInt(range.bits - range.prefix)) - 1n;
    const from = (range.base - this.#cluster.base) >> shift;
    const to = (last - this.#cluster.base) >> shift;
    const indexes: number[] = [];
    for (let i = from < 0n ? 0n : from; i <= to && i < BigInt(this.#count); i++) indexes.push(Number(i));
    return indexes;
  }
}
