/** As much of etcd as an API server uses, over a plain map: for tests that need no disk, no raft and no history. */
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type {
  MvccpbEvent,
  MvccpbKeyValue,
  RangeResponse,
  WatchRequest,
  WatchResponse,
} from "../../protocols/etcd/generated.ts";
import type { ClientStream, Init } from "../../wire/rpc/service.ts";
import { RpcError } from "../../wire/rpc/service.ts";

interface Watcher {
  readonly from: string;
  readonly to: string;
  push(response: WatchResponse): void;
  cut(): void;
}

const latin1 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("latin1");

export class FakeEtcd implements EtcdClient {
  revision = 1;
  compacted = 0;
  readonly #history: { readonly revision: number; readonly events: MvccpbEvent[] }[] = [];
  readonly #data = new Map<string, MvccpbKeyValue>();
  readonly #watchers = new Set<Watcher>();
  #lease = 1n;

  /** Ends every watch in the middle. */
  disconnect(): void {
    for (const watcher of this.#watchers) watcher.cut();
  }

  get keys(): string[] {
    return [...this.#data.keys()].sort();
  }

  #header = () => ({ cluster_id: 1n, member_id: 1n, revision: this.revision, raft_term: 1 });

  #at(revision: number): Map<string, MvccpbKeyValue> {
    if (revision === 0 || revision === this.revision) return this.#data;
    if (revision > this.revision)
      throw new RpcError("OutOfRange", "etcdserver: mvcc: required revision is a future revision");
    if (revision < this.compacted)
      throw new RpcError("OutOfRange", "etcdserver: mvcc: required revision has been compacted");
    const data = new Map<string, MvccpbKeyValue>();
    for (const { events } of this.#history.filter((h) => h.revision <= revision))
      for (const { type, kv } of events) {
        if (type === "PUT") data.set(latin1(kv!.key), kv!);
        else data.delete(latin1(kv!.key));
      }
    return data;
  }

  #range(request: Init<any>): RangeResponse {
    const key = latin1(request.key);
    const end = latin1(request.range_end);
    const data = this.#at(request.revision ?? 0);
    let kvs: MvccpbKeyValue[];
    if (end === "") kvs = data.has(key) ? [data.get(key)!] : [];
    else
      kvs = [...data.entries()]
        .filter(([k]) => k >= key && (end === "\0" || k < end))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, kv]) => kv);
    const count = kvs.length;
    const limit = request.limit ?? 0;
    const page = limit > 0 ? kvs.slice(0, limit) : kvs;
    return { header: this.#header(), kvs: request.count_only ? [] : page, more: page.length < count, count };
  }

  readonly kv = {
    Range: async (request: Init<any>) => this.#range(request),
    Txn: async (request: Init<any>) => {
      const succeeded = (request.compare ?? []).every((c: any) => {
        const kv = this.#data.get(latin1(c.key));
        const actual = c.target === "VERSION" ? (kv?.version ?? 0) : (kv?.mod_revision ?? 0);
        return actual === (c.target === "VERSION" ? c.version : c.mod_revision);
      });
      const events: MvccpbEvent[] = [];
      const responses = ((succeeded ? request.success : request.failure) ?? []).map((op: any) => {
        if (op.request_range) return { response_range: this.#range(op.request_range) };
        if (events.length === 0) this.revision++;
        if (op.request_put) {
          const key = latin1(op.request_put.key);
          const old = this.#data.get(key);
          const kv: MvccpbKeyValue = {
            key: op.request_put.key,
            value: op.request_put.value,
            create_revision: old?.create_revision ?? this.revision,
            mod_revision: this.revision,
            version: (old?.version ?? 0) + 1,
            lease: op.request_put.lease ?? 0n,
          };
          this.#data.set(key, kv);
          events.push({ type: "PUT", kv, prev_kv: old });
          return { response_put: { header: this.#header(), prev_kv: undefined } };
        }
        const key = latin1(op.request_delete_range.key);
        const old = this.#data.get(key);
        if (old !== undefined) {
          this.#data.delete(key);
          const kv = { ...old, value: new Uint8Array(), mod_revision: this.revision, version: 0, create_revision: 0 };
          events.push({ type: "DELETE", kv, prev_kv: old });
        }
        return { response_delete_range: { header: this.#header(), deleted: old ? 1 : 0, prev_kvs: [] } };
      });
      if (events.length > 0) {
        this.#history.push({ revision: this.revision, events });
        for (const watcher of this.#watchers) this.#deliver(watcher, events);
      }
      return { header: this.#header(), succeeded, responses };
    },
    Compact: async (request: Init<any>) => {
      this.compacted = request.revision;
      return { header: this.#header() };
    },
  } as unknown as EtcdClient["kv"];

  #deliver(watcher: Watcher, events: readonly MvccpbEvent[], revision = this.revision): void {
    const mine = events.filter(({ kv }) => {
      const key = latin1(kv!.key);
      return key >= watcher.from && key < watcher.to;
    });
    if (mine.length > 0) watcher.push(this.#response({ events: mine, header: { ...this.#header(), revision } }));
  }

  #response(part: Partial<WatchResponse>): WatchResponse {
    return {
      header: this.#header(),
      watch_id: 0n,
      created: false,
      canceled: false,
      compact_revision: 0,
      cancel_reason: "",
      fragment: false,
      events: [],
      ...part,
    };
  }

  readonly watch = {
    Watch: (options?: { readonly signal?: AbortSignal }): ClientStream<WatchRequest, WatchResponse> => {
      const queue: WatchResponse[] = [];
      let wake: (() => void) | undefined;
      let ended = false;
      let broken = false;
      let watcher: Watcher | undefined;
      const push = (response: WatchResponse) => {
        queue.push(response);
        wake?.();
      };
      const end = () => {
        ended = true;
        if (watcher !== undefined) this.#watchers.delete(watcher);
        wake?.();
      };
      const cut = () => {
        broken = true;
        end();
      };
      options?.signal?.addEventListener("abort", end, { once: true });
      return {
        send: (request) => {
          if (request.progress_request !== undefined) push(this.#response({ watch_id: -1n }));
          const create = request.create_request;
          if (create === undefined) return;
          const start = create.start_revision ?? 0;
          watcher = { from: latin1(create.key), to: latin1(create.range_end), push, cut };
          push(this.#response({ created: true }));
          if (start !== 0 && start <= this.compacted) {
            push(this.#response({ canceled: true, compact_revision: this.compacted }));
            return;
          }
          for (const { revision, events } of this.#history)
            if (start !== 0 && revision >= start) this.#deliver(watcher, events, revision);
          this.#watchers.add(watcher);
        },
        end,
        cancel: end,
        async *[Symbol.asyncIterator]() {
          for (;;) {
            const next = queue.shift();
            if (next !== undefined) {
              yield next;
              continue;
            }
            if (broken) throw new RpcError("Unavailable", "the connection is gone");
            if (ended) return;
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        },
      };
    },
  } as unknown as EtcdClient["watch"];

  readonly lease = {
    LeaseGrant: async (request: Init<any>) => ({
      header: this.#header(),
      ID: this.#lease++,
      TTL: request.TTL,
      error: "",
    }),
  } as unknown as EtcdClient["lease"];

  readonly maintenance = {
    Status: async () => ({ header: this.#header(), version: "3.7.0", dbSize: 0 }),
  } as unknown as EtcdClient["maintenance"];

  async close(): Promise<void> {}
}
