/**
 * Node ports: one bitmap in etcd that is updated on condition of its revision, so that only one of several servers can get a port. Requests that
 * arrive during an update share the next one.
 * Upstream: pkg/registry/core/service/{portallocator,allocator}
 */
import type { EtcdClient } from "../../../protocols/etcd/client.ts";
import type { Random } from "../../../world/world.ts";
import { randomInt } from "../../../world/world.ts";
import { AllocationError } from "./allocation-error.ts";
import type { AllocationMetrics } from "./allocation-metrics.ts";
import { band } from "./ip-range.ts";
import { decodeRange, encodeRange } from "./range-allocation.ts";

const KEY = Buffer.from("/registry/ranges/servicenodeports");
/** So many repairs in a row must find a port unused before it is free again: its service may be on its way. */
const REPAIRS_BEFORE_CLEANUP = 3;

interface Operation {
  /** Changes the bitmap. May throw an AllocationError, and may run more than once. */
  apply(taken: Set<number>): number;
  resolve(port: number): void;
  reject(error: unknown): void;
}

export class NodePorts {
  readonly range: string;
  readonly #from: number;
  readonly #to: number;
  readonly #band: number;
  readonly #random: Random;
  readonly #etcd: EtcdClient;
  #taken: ReadonlySet<number> = new Set();
  /** Of the key in etcd, as far as known. */
  #revision = 0;
  #waiting: Operation[] = [];
  #busy = false;
  readonly #leaks = new Map<number, number>();

  readonly #metrics: AllocationMetrics;

  constructor(
    range: string,
    deps: { readonly random: Random; readonly etcd: EtcdClient; readonly metrics: AllocationMetrics },
  ) {
    const { random, etcd, metrics } = deps;
    this.range = range;
    const [from, to] = range.split("-").map(Number) as [number, number];
    this.#from = from;
    this.#to = to;
    this.#band = band(BigInt(to - from + 1), 16n, 128n, 32n);
    this.#random = random;
    this.#etcd = etcd;
    this.#metrics = metrics;
    metrics.readPorts(() => ({ taken: this.#taken.size, free: to - from + 1 - this.#taken.size }));
  }

  contains(port: number): boolean {
    return port >= this.#from && port <= this.#to;
  }

  async take(port: number, dryRun = false): Promise<void> {
    if (!this.contains(port))
      throw new AllocationError(`provided port is not in the valid range. The range of valid ports is ${this.range}`);
    const done = this.#do((taken) => {
      if (taken.has(port)) throw new AllocationError("provided port is already allocated");
      if (!dryRun) taken.add(port);
      return port;
    });
    await (dryRun ? done : this.#counted("static", done));
  }

  /** Any free one, from the upper part of the range first: the lower is for people who choose. */
  next(dryRun = false): Promise<number> {
    const done = this.#do((taken) => {
      const port =
        this.#free(taken, this.#from + this.#band, this.#to) ??
        this.#free(taken, this.#from, this.#from + this.#band - 1);
      if (port === undefined) throw new AllocationError("range is full");
      if (!dryRun) taken.add(port);
      return port;
    });
    return dryRun ? done : this.#counted("dynamic", done);
  }

  async #counted(scope: "static" | "dynamic", allocation: Promise<number>): Promise<number> {
    let succeeded = false;
    try {
      const port = await allocation;
      succeeded = true;
      return port;
    } finally {
      this.#metrics.port(scope, succeeded);
    }
  }

  async release(port: number): Promise<void> {
    await this.#do((taken) => {
      taken.delete(port);
      return port;
    });
  }

  /** Makes the bitmap say what services hold. Gives those that it didn't know of. */
  async repair(used: ReadonlySet<number>): Promise<readonly number[]> {
    let unknown: readonly number[] = [];
    let leaked: readonly number[] = [];
    await this.#do((taken) => {
      unknown = [...used].filter((port) => this.contains(port) && !taken.has(port));
      leaked = [...taken].filter((port) => !used.has(port));
      for (const port of unknown) taken.add(port);
      for (const port of leaked) if ((this.#leaks.get(port) ?? 0) + 1 >= REPAIRS_BEFORE_CLEANUP) taken.delete(port);
      return 0;
    });
    const before = new Map(this.#leaks);
    this.#leaks.clear();
    for (const port of leaked) {
      const times = (before.get(port) ?? 0) + 1;
      if (times < REPAIRS_BEFORE_CLEANUP) this.#leaks.set(port, times);
    }
    return unknown;
  }

  #free(taken: ReadonlySet<number>, from: number, to: number): number | undefined {
    const count = to - from + 1;
    const offset = count > 0 ? randomInt(this.#random, count) : 0;
    for (let i = 0; i < count; i++) {
      const port = from + ((offset + i) % count);
      if (!taken.has(port)) return port;
    }
    return undefined;
  }

  #do(apply: Operation["apply"]): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.push({ apply, resolve, reject });
    if (!this.#busy) void this.#flush();
    return promise;
  }

  async #flush(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const operations = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(operations);
      } catch (error) {
        for (const { reject } of operations) reject(error);
      }
    }
    this.#busy = false;
  }

  async #write(operations: readonly Operation[]): Promise<void> {
    for (let fresh = false; ; fresh = true) {
      const wanted = new Set(this.#taken);
      const outcomes: (() => void)[] = [];
      let refused = false;
      for (const { apply, resolve, reject } of operations)
        try {
          const port = apply(wanted);
          outcomes.push(() => resolve(port));
        } catch (error) {
          refused = true;
          outcomes.push(() => reject(error));
        }
      const unchanged =
        this.#revision !== 0 && wanted.size === this.#taken.size && [...wanted].every((port) => this.#taken.has(port));
      // A refusal may rest on what was so some time ago.
      if (refused && !fresh) {
        await this.#read();
        continue;
      }
      if (unchanged || (await this.#put(wanted))) {
        for (const settle of outcomes) settle();
        return;
      }
    }
  }

  async #read(): Promise<void> {
    const { kvs } = await this.#etcd.kv.Range({ key: KEY, limit: 1 });
    this.#revision = kvs[0]?.mod_revision ?? 0;
    this.#taken = kvs[0] === undefined ? new Set() : decodeRange(kvs[0].value, this.#from);
  }

  async #put(wanted: ReadonlySet<number>): Promise<boolean> {
    const answer = await this.#etcd.kv.Txn({
      compare: [{ key: KEY, target: "MOD", result: "EQUAL", mod_revision: this.#revision }],
      success: [{ request_put: { key: KEY, value: encodeRange(this.range, this.#from, wanted) } }],
      failure: [{ request_range: { key: KEY, limit: 1 } }],
    });
    if (answer.succeeded) {
      this.#revision = answer.header!.revision;
      this.#taken = wanted;
      return true;
    }
    const kv = answer.responses[0]?.response_range?.kvs[0];
    this.#revision = kv?.mod_revision ?? 0;
    this.#taken = kv === undefined ? new Set() : decodeRange(kv.value, this.#from);
    return false;
  }
}
