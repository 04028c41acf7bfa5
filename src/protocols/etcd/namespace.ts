/**
 * Presents the keys below a prefix of an etcd as if they were all of it: the prefix is added to requests and removed from responses. Revisions,
 * leases and compaction are those of the whole store.
 * Upstream: client/v3/namespace
 */
import type { Init } from "../../wire/rpc/service.ts";
import type { EtcdClient } from "./client.ts";
import type {
  Compare,
  MvccpbEvent,
  MvccpbKeyValue,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
  WatchRequest,
  WatchResponse,
} from "./generated.ts";

/** The namespaced client doesn't own the other: closing it closes nothing. */
export function namespaced(etcd: EtcdClient, prefix: string): EtcdClient {
  const names = new Names(prefix);
  return {
    kv: {
      ...etcd.kv,
      Range: async (request, options) => names.rangeOut(await etcd.kv.Range(names.keys(request), options)),
      Put: async (request, options) => {
        const answer = await etcd.kv.Put({ ...request, key: names.key(request.key) }, options);
        return { ...answer, prev_kv: names.kvOut(answer.prev_kv) };
      },
      DeleteRange: async (request, options) => {
        const answer = await etcd.kv.DeleteRange(names.keys(request), options);
        return { ...answer, prev_kvs: answer.prev_kvs.map((kv) => names.kvOut(kv)!) };
      },
      Txn: async (request, options) => names.txnOut(await etcd.kv.Txn(names.txn(request), options)),
    },
    watch: {
      ...etcd.watch,
      Watch: (options) => {
        const stream = etcd.watch.Watch(options);
        return {
          send: (request) => stream.send(names.watch(request)),
          end: () => stream.end(),
          cancel: () => stream.cancel(),
          async *[Symbol.asyncIterator]() {
            for await (const response of stream) yield names.watchOut(response);
          },
        };
      },
    },
    lease: etcd.lease,
    maintenance: etcd.maintenance,
    async close() {},
  };
}

class Names {
  readonly #prefix: Buffer;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix);
  }

  key(key: Uint8Array | undefined): Uint8Array {
    return Buffer.concat([this.#prefix, key ?? new Uint8Array()]);
  }

  /** `\0` is the end of all keys: of ours, then. */
  #end(end: Uint8Array | undefined): Uint8Array {
    if (end === undefined || end.length === 0) return new Uint8Array();
    if (end.length > 1 || end[0] !== 0) return this.key(end);
    const after = Buffer.from(this.#prefix);
    after[after.length - 1]!++;
    return after;
  }

  keys<T extends { readonly key?: Uint8Array; readonly range_end?: Uint8Array }>(request: T): T {
    return { ...request, key: this.key(request.key), range_end: this.#end(request.range_end) };
  }

  txn(request: Init<TxnRequest>): Init<TxnRequest> {
    return {
      compare: request.compare?.map((compare: Init<Compare>) => this.keys(compare)) ?? [],
      success: request.success?.map((op) => this.#op(op)) ?? [],
      failure: request.failure?.map((op) => this.#op(op)) ?? [],
    };
  }

  #op(op: Init<RequestOp>): Init<RequestOp> {
    if (op.request_range) return { request_range: this.keys(op.request_range) };
    if (op.request_put) return { request_put: { ...op.request_put, key: this.key(op.request_put.key) } };
    if (op.request_delete_range) return { request_delete_range: this.keys(op.request_delete_range) };
    return { request_txn: this.txn(op.request_txn!) };
  }

  watch(request: Init<WatchRequest>): Init<WatchRequest> {
    return request.create_request ? { ...request, create_request: this.keys(request.create_request) } : request;
  }

  /** Field by field: a member in this process answers with rows that read their fields when they are asked for. */
  kvOut<T extends MvccpbKeyValue | undefined>(kv: T): T {
    if (kv === undefined) return kv;
    const { key, value, create_revision, mod_revision, version, lease } = kv;
    return { key: key.subarray(this.#prefix.length), value, create_revision, mod_revision, version, lease } as T;
  }

  rangeOut(response: RangeResponse): RangeResponse {
    return { ...response, kvs: response.kvs.map((kv) => this.kvOut(kv)) };
  }

  txnOut(response: TxnResponse): TxnResponse {
    return { ...response, responses: response.responses.map((op) => this.#opOut(op)) };
  }

  #opOut(op: ResponseOp): ResponseOp {
    if (op.response_range) return { ...op, response_range: this.rangeOut(op.response_range) };
    if (op.response_put)
      return { ...op, response_put: { ...op.response_put, prev_kv: this.kvOut(op.response_put.prev_kv) } };
    if (op.response_delete_range) {
      const { prev_kvs } = op.response_delete_range;
      return {
        ...op,
        response_delete_range: { ...op.response_delete_range, prev_kvs: prev_kvs.map((kv) => this.kvOut(kv)) },
      };
    }
    return op.response_txn ? { ...op, response_txn: this.txnOut(op.response_txn) } : op;
  }

  watchOut(response: WatchResponse): WatchResponse {
    const events = response.events.map((event): MvccpbEvent => ({
      ...event,
      kv: this.kvOut(event.kv),
      prev_kv: this.kvOut(event.prev_kv),
    }));
    return { ...response, events };
  }
}
