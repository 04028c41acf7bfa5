/** Clients of a cluster under faults: they read and write, keep what was said to them, and have each answer checked against the ledger. */
import type { EtcdClient } from "../../../protocols/etcd/client.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import { randomInt, type Clock, type Random } from "../../../world/world.ts";
import type { KvInput, KvOutput, KvVersion } from "../../model/key-value.ts";
import type { Operation } from "../../model/linearizability.ts";
import type { EtcdHost } from "./host.ts";
import type { KeyValue } from "../../../etcd/backend/backend.ts";
import { describe, isSame, keyOf, type Ledger } from "./ledger.ts";
import { ClientLink, NotSent } from "./link.ts";
import { V2_PREFIX } from "./v2-clients.ts";

/** An operation as its client saw it; the output of a write whose outcome it didn't learn may be found in the ledger afterwards. */
export interface Recorded {
  readonly client: number;
  readonly input: KvInput;
  readonly call: number;
  return: number;
  output: KvOutput | undefined;
  /** It can't have been done. */
  refused: boolean;
}

export interface ClientDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly hosts: () => readonly EtcdHost[];
  readonly isOver: () => boolean;
  readonly history: Recorded[];
  readonly tell: (line: string) => void;
  readonly keys: number;
  readonly thinkMs: number;
}

/** A second of a lease's time, on the slowest clock that there is in fairness to the quickest. */
const TTL_MS = 950;

const bytes = (text: string) => new TextEncoder().encode(text);
export const FROM = bytes("k");
export const END = bytes("m");

export class KvClient {
  readonly #id: number;
  readonly #link: ClientLink;
  readonly #deps: ClientDeps;
  readonly #seen = new Map<string, number>();
  #host: EtcdHost | undefined;
  #number = 0;

  constructor(id: number, link: ClientLink, deps: ClientDeps) {
    this.#id = id;
    this.#link = link;
    this.#deps = deps;
  }

  async run(): Promise<void> {
    const { random, thinkMs, isOver } = this.#deps;
    while (!isOver()) {
      await this.#link.pause(random.next() * 2 * thinkMs);
      if (isOver()) return;
      await this.#step();
    }
  }

  /** Stays with a member until that fails it. */
  #pick(): EtcdHost {
    const { hosts, random } = this.#deps;
    const all = hosts().filter((host) => host.isRunning);
    const list = all.length > 0 ? all : hosts();
    if (this.#host === undefined || !list.includes(this.#host)) this.#host = list[randomInt(random, list.length)]!;
    return this.#host;
  }

  async #step(): Promise<void> {
    const { random, keys } = this.#deps;
    const key = `k${randomInt(random, keys)}`;
    const value = `${this.#id}-${this.#number++}`;
    const dice = random.next();
    if (dice < 0.3) return this.#write({ kind: "put", key, value });
    if (dice < 0.4) return this.#write({ kind: "delete", key });
    if (dice < 0.52) return this.#write({ kind: "swap", key, modRevision: this.#seen.get(key) ?? 0, value });
    if (dice < 0.6) {
      const other = `k${randomInt(random, keys)}`;
      return this.#write({
        kind: "puts",
        entries:
          other === key
            ? [{ key, value }]
            : [
                { key, value },
                { key: other, value },
              ],
      });
    }
    if (dice < 0.78) return this.#read({ kind: "get", key }, false);
    if (dice < 0.86) return this.#read({ kind: "list" }, false);
    if (dice < 0.94) return this.#read(random.next() < 0.5 ? { kind: "get", key } : { kind: "list" }, true);
    return this.#readPast();
  }

  /** Undefined where there was no answer. */
  async #ask<T>(
    recorded: Recorded | undefined,
    what: string,
    run: (client: EtcdClient) => Promise<T>,
  ): Promise<T | undefined> {
    const { clock, random, tell } = this.#deps;
    const host = this.#pick();
    try {
      const answer = await this.#link.call(host, 1500 + random.next() * 5000, run);
      if (recorded !== undefined) recorded.return = clock.monotonic();
      return answer;
    } catch (error) {
      if (!(error instanceof RpcError) && !(error instanceof NotSent)) throw error;
      if (recorded !== undefined && error instanceof NotSent) recorded.refused = true;
      this.#host = undefined;
      tell(`client ${this.#id} ${what} at ${host.name}: ${error.message}`);
      return undefined;
    }
  }

  #record(input: KvInput): Recorded {
    const recorded: Recorded = {
      client: this.#id,
      input,
      call: this.#deps.clock.monotonic(),
      return: Infinity,
      output: undefined,
      refused: false,
    };
    this.#deps.history.push(recorded);
    return recorded;
  }

  async #write(input: KvInput): Promise<void> {
    const { ledger, tell } = this.#deps;
    const recorded = this.#record(input);
    const what = text(input);
    const output = await this.#ask(recorded, what, async ({ kv }): Promise<KvOutput> => {
      switch (input.kind) {
        case "put": {
          const { header } = await kv.Put({ key: bytes(input.key), value: bytes(input.value) });
          return { revision: header!.revision };
        }
        case "delete": {
          const { header, deleted } = await kv.DeleteRange({ key: bytes(input.key) });
          return { revision: header!.revision, deleted: Number(deleted) };
        }
        case "swap": {
          const { header, succeeded } = await kv.Txn({
            compare: [{ result: "EQUAL", target: "MOD", key: bytes(input.key), mod_revision: input.modRevision }],
            success: [{ request_put: { key: bytes(input.key), value: bytes(input.value) } }],
          });
          return { revision: header!.revision, succeeded };
        }
        case "puts": {
          const { header } = await kv.Txn({
            success: input.entries.map(({ key, value }) => ({ request_put: { key: bytes(key), value: bytes(value) } })),
          });
          return { revision: header!.revision };
        }
        default:
          throw new Error(`${input.kind} is not a write`);
      }
    });
    if (output === undefined) return;
    recorded.output = output;
    tell(`client ${this.#id} ${what}: ${JSON.stringify(output)}`);
    const written = ledger.at(output.revision);
    const isIn = (key: string, value: string) => written.some((one) => one.key === key && one.value === value);
    const isThere =
      input.kind === "put"
        ? isIn(input.key, input.value)
        : input.kind === "puts"
          ? input.entries.every(({ key, value }) => isIn(key, value))
          : input.kind === "swap"
            ? output.succeeded !== true || isIn(input.key, input.value)
            : output.deleted === 0 || (input.kind === "delete" && isIn(input.key, ""));
    if (!isThere)
      ledger.fail(`an acknowledged write is lost: ${what} at revision ${output.revision} is ${describe(written)}`);
    if (input.kind !== "delete" && output.succeeded !== false)
      for (const { key } of written) this.#seen.set(key, output.revision);
  }

  async #read(input: KvInput & { kind: "get" | "list" }, serializable: boolean): Promise<void> {
    const recorded = serializable ? undefined : this.#record(input);
    const range = input.kind === "get" ? { key: bytes(input.key) } : { key: FROM, range_end: END };
    const what = `${serializable ? "serializable " : ""}${text(input)}`;
    const answer = await this.#ask(recorded, what, ({ kv }) => kv.Range({ ...range, serializable }));
    if (answer === undefined) return;
    const revision = answer.header!.revision;
    this.#check(what, input, revision, answer.kvs);
    if (recorded !== undefined)
      recorded.output = {
        revision,
        kvs: answer.kvs.map((kv): KvVersion & { key: string } => ({
          key: keyOf(kv),
          value: Buffer.from(kv.value).toString("latin1"),
          modRevision: kv.mod_revision,
          createRevision: kv.create_revision,
          version: kv.version,
        })),
      };
    if (input.kind === "get") this.#seen.set(input.key, answer.kvs[0]?.mod_revision ?? 0);
    this.#deps.tell(`client ${this.#id} ${what}: revision ${revision}, ${answer.kvs.length} keys`);
  }

  async #readPast(): Promise<void> {
    const { ledger, random } = this.#deps;
    const revision = Math.max(2, ledger.revision - randomInt(random, 40));
    const answer = await this.#ask(undefined, `list at ${revision}`, ({ kv }) =>
      kv.Range({ key: FROM, range_end: END, revision, serializable: random.next() < 0.5 }),
    );
    if (answer === undefined) return;
    this.#check(`list at ${revision}`, { kind: "list" }, revision, answer.kvs);
  }

  #check(what: string, input: KvInput & { kind: "get" | "list" }, revision: number, kvs: readonly KeyValue[]): void {
    const { ledger } = this.#deps;
    const one = input.kind === "get" ? ledger.keyAt(input.key, revision) : undefined;
    const expected = input.kind === "list" ? ledger.rangeAt("k", "m", revision) : one === undefined ? [] : [one];
    if (
      revision > ledger.revision ||
      expected.length !== kvs.length ||
      !expected.every((wanted, i) => isSame(wanted, kvs[i]!))
    )
      ledger.fail(
        `client ${this.#id} ${what} at revision ${revision} got ${kvs.map((kv) => `${keyOf(kv)}@${kv.mod_revision}`).join(" ")}, not ${describe(expected)}`,
      );
  }
}

/** Holds a lease with a key on it, for a while. */
export class LeaseClient {
  readonly #id: number;
  readonly #link: ClientLink;
  readonly #deps: ClientDeps;
  #host: EtcdHost | undefined;
  #number = 0;

  constructor(id: number, link: ClientLink, deps: ClientDeps) {
    this.#id = id;
    this.#link = link;
    this.#deps = deps;
  }

  async run(): Promise<void> {
    const { isOver, random } = this.#deps;
    while (!isOver()) {
      await this.#link.pause(random.next() * 1000);
      await this.#hold();
    }
  }

  async #ask<T>(run: (client: EtcdClient) => Promise<T>): Promise<T | undefined> {
    const { hosts, random, tell } = this.#deps;
    const all = hosts().filter((host) => host.isRunning);
    const list = all.length > 0 ? all : hosts();
    if (this.#host === undefined || !list.includes(this.#host)) this.#host = list[randomInt(random, list.length)]!;
    try {
      return await this.#link.call(this.#host, 2000, run);
    } catch (error) {
      if (!(error instanceof RpcError) && !(error instanceof NotSent)) throw error;
      tell(`lease client ${this.#id} at ${this.#host.name}: ${error.message}`);
      this.#host = undefined;
      return undefined;
    }
  }

  async #hold(): Promise<void> {
    const { clock, history, isOver, ledger, random, tell } = this.#deps;
    const { leases } = ledger;
    const number = this.#number++;
    const ID = BigInt(this.#id * 1000 + number + 1);
    const ttl = 2 + randomInt(random, 5);
    let asked = clock.monotonic();
    const granted = await this.#ask(({ lease }) => lease.LeaseGrant({ ID, TTL: ttl }));
    if (granted === undefined || granted.error !== "") return;
    leases.set(ID, asked + Number(granted.TTL) * TTL_MS);
    for (const key of random.next() < 0.5 ? [`l${this.#id}`] : [`l${this.#id}b`, `l${this.#id}`]) {
      const value = `${this.#id}-${number}`;
      const recorded: Recorded = {
        client: this.#id,
        input: { kind: "put", key, value },
        call: clock.monotonic(),
        return: Infinity,
        output: undefined,
        refused: false,
      };
      history.push(recorded);
      const put = await this.#ask(({ kv }) => kv.Put({ key: bytes(key), value: bytes(value), lease: ID }));
      if (put === undefined) continue;
      recorded.return = clock.monotonic();
      recorded.output = { revision: put.header!.revision };
    }
    const beats = randomInt(random, 12);
    for (let beat = 0; beat < beats && !isOver(); beat++) {
      await this.#link.pause(ttl * 250);
      asked = clock.monotonic();
      const left = await this.#ask(async ({ lease }) => {
        const stream = lease.LeaseKeepAlive();
        stream.send({ ID });
        stream.end();
        for await (const { TTL } of stream) return Number(TTL);
        return 0;
      });
      if (left === undefined) continue;
      if (left === 0) break;
      leases.set(ID, Math.max(leases.get(ID)!, asked + left * TTL_MS));
    }
    if (random.next() < 0.3) {
      leases.delete(ID);
      await this.#ask(({ lease }) => lease.LeaseRevoke({ ID }));
    }
    tell(`lease client ${this.#id} lets go of ${ID}`);
  }
}

export function text(input: KvInput): string {
  switch (input.kind) {
    case "put":
      return `put ${input.key}=${input.value}`;
    case "puts":
      return `put ${input.entries.map(({ key, value }) => `${key}=${value}`).join(" ")}`;
    case "swap":
      return `swap ${input.key}@${input.modRevision}=${input.value}`;
    case "list":
      return "list";
    case "beside":
      return "something else";
    case "expire":
      return `expire ${input.keys.join(" ")}`;
    default:
      return `${input.kind} ${input.key}`;
  }
}

/** The history with what the ledger knows of writes whose outcome their clients didn't learn, and with what leases took away. */
export function completed(history: readonly Recorded[], ledger: Ledger): Operation<KvInput, KvOutput>[] {
  const operations: Operation<KvInput, KvOutput>[] = [];
  const unknownDeletes: Recorded[] = [];
  const claimed = new Set<number>();
  for (const one of history) {
    const { input, output, refused } = one;
    if (output !== undefined) {
      operations.push(one as Operation<KvInput, KvOutput>);
      if (input.kind === "delete" && output.deleted !== 0) claimed.add(output.revision);
      continue;
    }
    if (input.kind === "get" || input.kind === "list") continue;
    if (input.kind === "delete") {
      if (!refused) unknownDeletes.push(one);
      continue;
    }
    const [first] =
      input.kind === "puts" ? input.entries : input.kind === "expire" || input.kind === "beside" ? [] : [input];
    const revision = first && ledger.values.get(`${first.key}=${first.value}`);
    if (revision === undefined) continue;
    if (refused) ledger.fail(`${text(input)} was refused and is there, at revision ${revision}`);
    operations.push({
      ...one,
      return: Infinity,
      output: { revision, ...(input.kind === "swap" && { succeeded: true }) },
    });
  }
  for (let revision = 2; revision <= ledger.revision; revision++) {
    const written = ledger.at(revision);
    const [first] = written;
    if (first?.key.startsWith(V2_PREFIX) === true) {
      operations.push({ client: -1, input: { kind: "beside" }, call: 0, return: Infinity, output: { revision } });
      continue;
    }
    if (first === undefined || first.version !== 0 || claimed.has(revision)) continue;
    if (first.key.startsWith("l")) {
      const input: KvInput = { kind: "expire", keys: written.map(({ key }) => key) };
      operations.push({ client: -1, input, call: 0, return: Infinity, output: { revision } });
      continue;
    }
    // Any of those may have done it; the one that was asked for first can wait the longest.
    const at = unknownDeletes.findIndex(({ input }) => input.kind === "delete" && input.key === first.key);
    if (at < 0) {
      ledger.fail(`nobody deleted ${first.key}, which is gone at revision ${revision}`);
      continue;
    }
    const [found] = unknownDeletes.splice(at, 1);
    operations.push({ ...found!, return: Infinity, output: { revision, deleted: 1 } });
  }
  return operations;
}
