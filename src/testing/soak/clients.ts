/** Clients of real processes: they read and write at any member, and record what they asked, when, and what came back. */
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { MvccpbKeyValue, WatchRequest, WatchResponse } from "../../protocols/etcd/generated.ts";
import type { ClientStream } from "../../wire/rpc/service.ts";
import { randomInt, type Random } from "../../world/world.ts";
import type { KvInput, KvOutput } from "../model/key-value.ts";
import type { Recorded } from "../sim/etcd/clients.ts";
import { keyOf, type Ledger } from "../sim/etcd/ledger.ts";
import type { SoakMember } from "./member.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");
const FROM = bytes("k");
const END = bytes("m");
const now = () => performance.now();
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export interface SoakClientDeps {
  readonly random: Random;
  readonly members: readonly SoakMember[];
  readonly history: Recorded[];
  readonly isOver: () => boolean;
  readonly keys: number;
}

export class SoakClient {
  readonly #id: number;
  readonly #deps: SoakClientDeps;
  readonly #seen = new Map<string, number>();
  #member: SoakMember | undefined;
  #number = 0;
  acknowledged = 0;

  constructor(id: number, deps: SoakClientDeps) {
    this.#id = id;
    this.#deps = deps;
  }

  async run(): Promise<void> {
    while (!this.#deps.isOver()) {
      await pause(this.#deps.random.next() * 30);
      await this.#step();
    }
  }

  async #step(): Promise<void> {
    const { random, keys, members, history } = this.#deps;
    this.#member ??= members[randomInt(random, members.length)]!;
    const input = this.#input(`k${randomInt(random, keys)}`, `k${randomInt(random, keys)}`);
    const recorded: Recorded = {
      client: this.#id,
      input,
      call: now(),
      return: Infinity,
      output: undefined,
      refused: false,
    };
    history.push(recorded);
    try {
      const output = await answer(this.#member.client, input, 1000 + random.next() * 4000);
      recorded.return = now();
      recorded.output = output;
      this.acknowledged++;
      for (const kv of output.kvs ?? []) this.#seen.set(kv.key, kv.modRevision);
      if (input.kind === "put" || (input.kind === "swap" && output.succeeded === true))
        this.#seen.set(input.key, output.revision);
    } catch {
      // Whether it was done is found out later: what it wrote is there, or not.
      this.#member = undefined;
      await pause(50);
    }
  }

  #input(key: string, other: string): KvInput {
    const { random } = this.#deps;
    // Long enough for the store to grow.
    const value = `${this.#id}-${this.#number++}-${"x".repeat(random.next() < 0.1 ? 3000 : 50)}`;
    const dice = random.next();
    if (dice < 0.4) return { kind: "put", key, value };
    if (dice < 0.5) return { kind: "delete", key };
    if (dice < 0.65) return { kind: "swap", key, modRevision: this.#seen.get(key) ?? 0, value };
    if (dice < 0.72 && other !== key)
      return {
        kind: "puts",
        entries: [
          { key, value },
          { key: other, value },
        ],
      };
    return dice < 0.92 ? { kind: "get", key } : { kind: "list" };
  }
}

async function answer({ kv }: EtcdClient, input: KvInput, timeoutMs: number): Promise<KvOutput> {
  const options = { timeoutMs };
  switch (input.kind) {
    case "put": {
      const { header } = await kv.Put({ key: bytes(input.key), value: bytes(input.value) }, options);
      return { revision: header!.revision };
    }
    case "puts": {
      const success = input.entries.map(({ key, value }) => ({
        request_put: { key: bytes(key), value: bytes(value) },
      }));
      const { header } = await kv.Txn({ success }, options);
      return { revision: header!.revision };
    }
    case "delete": {
      const { header, deleted } = await kv.DeleteRange({ key: bytes(input.key) }, options);
      return { revision: header!.revision, deleted: Number(deleted) };
    }
    case "swap": {
      const { header, succeeded } = await kv.Txn(
        {
          compare: [{ result: "EQUAL", target: "MOD", key: bytes(input.key), mod_revision: input.modRevision }],
          success: [{ request_put: { key: bytes(input.key), value: bytes(input.value) } }],
        },
        options,
      );
      return { revision: header!.revision, succeeded };
    }
    case "get":
    case "list": {
      const range = input.kind === "get" ? { key: bytes(input.key) } : { key: FROM, range_end: END };
      const { header, kvs } = await kv.Range(range, options);
      return { revision: header!.revision, kvs: kvs.map(versionOf) };
    }
    case "expire":
    case "beside":
      throw new Error("leases expire by themselves");
  }
}

const versionOf = (kv: MvccpbKeyValue) => ({
  key: keyOf(kv),
  value: Buffer.from(kv.value).toString("latin1"),
  modRevision: kv.mod_revision,
  createRevision: kv.create_revision,
  version: kv.version,
});

/** Sees everything that happens, at one member, and goes on there after each break where it was. */
export class SoakWatcher {
  readonly #member: SoakMember;
  readonly #ledger: Ledger;
  readonly #isOver: () => boolean;
  #stream: ClientStream<WatchRequest, WatchResponse> | undefined;
  /** Everything before has been seen. */
  next = 2;

  constructor(member: SoakMember, ledger: Ledger, isOver: () => boolean) {
    this.#member = member;
    this.#ledger = ledger;
    this.#isOver = isOver;
  }

  async run(): Promise<void> {
    while (!this.#isOver()) {
      try {
        await this.#watch();
      } catch {
        // The member is gone, or has lost its leader.
      }
      this.#stream?.cancel();
      await pause(200);
    }
  }

  leave(): void {
    this.#stream?.cancel();
  }

  async #watch(): Promise<void> {
    const stream = this.#member.client.watch.Watch();
    this.#stream = stream;
    stream.send({ create_request: { key: FROM, range_end: END, start_revision: this.next, prev_kv: true } });
    const who = `the watcher at ${this.#member.name}`;
    for await (const { canceled, cancel_reason: why, events, compact_revision: compacted } of stream) {
      if (compacted > 0) this.#ledger.fail(`${who} wants ${this.next}, and ${compacted} is compacted`);
      if (canceled) throw new Error(why);
      for (let i = 0; i < events.length;) {
        const revision = events[i]!.kv!.mod_revision;
        let end = i;
        while (end < events.length && events[end]!.kv!.mod_revision === revision) end++;
        if (revision !== this.next) this.#ledger.fail(`${who} sees ${revision} after ${this.next - 1}`);
        this.#ledger.changed(
          who,
          events.slice(i, end).map(({ kv, prev_kv: previous }) => ({ kv: kv!, previous })),
        );
        this.next = revision + 1;
        i = end;
      }
      if (this.#isOver()) return;
    }
  }
}

/** Takes a lease, hangs a key on it and lets it run out: deletions that nobody asks for. */
export async function expireLeases(deps: SoakClientDeps, round: number): Promise<void> {
  const { random, members, history, isOver } = deps;
  for (let number = 0; !isOver(); number++) {
    await pause(1000);
    const { client } = members[randomInt(random, members.length)]!;
    try {
      const { ID } = await client.lease.LeaseGrant({ TTL: 3 }, { timeoutMs: 3000 });
      const key = "l0";
      const value = `lease-${round}-${number}`;
      const input: KvInput = { kind: "put", key, value };
      const recorded: Recorded = { client: 0, input, call: now(), return: Infinity, output: undefined, refused: false };
      history.push(recorded);
      const { header } = await client.kv.Put({ key: bytes(key), value: bytes(value), lease: ID }, { timeoutMs: 3000 });
      recorded.return = now();
      recorded.output = { revision: header!.revision };
    } catch {
      // As with other clients.
    }
  }
}
