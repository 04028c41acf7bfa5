/** The KV service. It is thin on purpose: check the request, ask the member, shape the response. Upstream: server/etcdserver/api/v3rpc/key.go */
import type {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RangeStreamResponse,
  RequestOp,
  TxnRequest,
  TxnResponse,
} from "../../protocols/etcd/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { RpcError, type Call, type Init, type ServerStream } from "../../wire/rpc/service.ts";
import { checkDeleteRange, checkPut, checkRange, checkTxn, isReadOnly, isSerializable } from "../apply/check.ts";
import { applyRange, sortKvs, withoutValues } from "../apply/range.ts";
import { checkRangeAllowed, checkTxnAllowed } from "../auth/checks.ts";
import type { Request } from "../apply/chain.ts";
import { KEEP_VERSIONS } from "../../protocols/etcd/client.ts";
import type { KeyValue } from "../backend/backend.ts";
import type { Member } from "../member.ts";
import { isLarge, largeRange } from "./large-range.ts";

const MAX_VERSIONS = 2 ** 31 - 1;
/** Keys in the first piece of a streamed range; later ones double while they stay below a request's size. */
const FIRST_PIECE = 10;
const NUL = new Uint8Array(1);

/** For a wire, `codec` makes bytes of what is very large. */
export function kvService(member: Member, codec?: Codec) {
  const { auth, authenticator, options } = member;
  return {
    Range(request: Init<RangeRequest>, call?: Call): Promise<RangeResponse> | RangeResponse {
      checkRange(request);
      const answer = () =>
        isLarge(member.store, request)
          ? largeRange(
              {
                store: member.store,
                header: (revision) => member.header(revision),
                pause: () => member.pause(),
                codec,
              },
              request,
            )
          : applyRange(member.store, request, member.header());
      const read = () =>
        auth.enabled ? authenticator.read(call, (info) => checkRangeAllowed(member, info, request), answer) : answer();
      const current = request.serializable ? undefined : member.linearizable();
      return current === undefined ? read() : current.then(read);
    },

    async RangeStream(
      request: Init<RangeRequest>,
      stream: ServerStream<never, RangeStreamResponse>,
      call?: Call,
    ): Promise<void> {
      checkRange(request);
      const { sort_order = "NONE", sort_target = "KEY" } = request;
      if (sort_order !== "NONE" && (sort_order !== "ASCEND" || sort_target !== "KEY"))
        throw new RpcError("Unimplemented", "RangeStream does not support custom sort orders");
      if (
        request.min_mod_revision ||
        request.max_mod_revision ||
        request.min_create_revision ||
        request.max_create_revision
      )
        throw new RpcError("Unimplemented", "RangeStream does not support revision filters");
      if (!request.serializable) await member.linearizable();
      const { store } = member;
      const present = store.revision;
      const revision = request.revision !== undefined && request.revision > 0 ? request.revision : present;
      const wanted = request.limit !== undefined && request.limit > 0 ? request.limit : Infinity;
      // Every piece is of one revision, and is read when the reader has taken the one before.
      const read = () => applyRange(store, { ...request, revision, limit: Math.min(wanted, FIRST_PIECE) }, undefined);
      const first = await authenticator.read(call, (info) => checkRangeAllowed(member, info, request), read);
      let { more } = first;
      let kvs: KeyValue[] = [...first.kvs];
      let size = FIRST_PIECE;
      for (let sent = 0; kvs.length > 0;) {
        member.failpoints.beforeRangeStreamChunk?.strike();
        // Others have their turn, however quick the reader is.
        await (stream.send({ range_response: { kvs } }) ? member.pause() : stream.drained);
        sent += kvs.length;
        if (!more || sent >= wanted || call?.signal.aborted) break;
        const bytes = kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length, 0);
        size = bytes * 2 <= options.maxRequestBytes ? size * 2 : Math.max(1, size >> 1);
        const limit = Math.min(size, wanted - sent);
        // Another order is that of a piece: what comes next is behind its last key.
        const last =
          sort_target === "KEY"
            ? kvs.at(-1)!.key
            : kvs
                .map(({ key }) => key)
                .sort(Buffer.compare)
                .at(-1)!;
        const key = Buffer.concat([last, NUL]);
        kvs = store.range(key, request.range_end, { limit, revision, countOnly: false, pageOnly: true }).kvs;
        more = kvs.length === limit;
        sortKvs(request, kvs);
        if (request.keys_only) kvs = withoutValues(request, kvs);
      }
      const { count } = first;
      const isCut = !request.count_only && count > wanted;
      stream.send({ range_response: { header: member.header(present), more: isCut, count } });
    },

    Put(request: Init<PutRequest>, call?: Call): Promise<PutResponse> {
      checkPut(request);
      member.checkQuota(request.key!.length + (request.value?.length ?? 0));
      return member.proposeFor(call, keeping(call, { put: request })) as Promise<PutResponse>;
    },

    DeleteRange(request: Init<DeleteRangeRequest>, call?: Call): Promise<DeleteRangeResponse> {
      checkDeleteRange(request);
      return member.proposeFor(call, { delete_range: request }) as Promise<DeleteRangeResponse>;
    },

    Txn(request: Init<TxnRequest>, call?: Call): Promise<TxnResponse> | TxnResponse {
      checkTxn(request, options.maxTxnOps);
      if (isReadOnly(request)) {
        const answer = () => member.applier.txn(request);
        const read = () =>
          auth.enabled ? authenticator.read(call, (info) => checkTxnAllowed(member, info, request), answer) : answer();
        const current = isSerializable(request) ? undefined : member.linearizable();
        return current === undefined ? read() : current.then(read);
      }
      const bytes = Math.max(putBytes(request.success), putBytes(request.failure));
      if (bytes > 0) member.checkQuota(bytes);
      return member.proposeFor(call, keeping(call, { txn: request })) as Promise<TxnResponse>;
    },

    async Compact(request: Init<CompactionRequest>, call?: Call): Promise<CompactionResponse> {
      await authenticator.requireAdmin(call);
      const response = (await member.proposeFor(call, { compaction: request })) as CompactionResponse;
      if (!request.physical) return response;
      await member.compacted();
      return { header: member.header() };
    },
  };
}

function putBytes(ops: readonly Init<RequestOp>[] | undefined): number {
  let bytes = 0;
  for (const { request_put: put, request_txn: txn } of ops ?? []) {
    if (put !== undefined) bytes += put.key!.length + (put.value?.length ?? 0);
    if (txn !== undefined) bytes += Math.max(putBytes(txn.success), putBytes(txn.failure));
  }
  return bytes;
}

/** Adds how many versions of the keys are to be kept, if the caller says so. */
function keeping(call: Call | undefined, request: Request): Request {
  const text = call?.metadata[KEEP_VERSIONS];
  if (text === undefined) return request;
  const versions = Number(text);
  if (!/^[0-9]+$/.test(text) || versions < 1 || versions > MAX_VERSIONS)
    throw new RpcError("InvalidArgument", `${KEEP_VERSIONS}: ${JSON.stringify(text)} is not a number of versions`);
  return { ...request, t8s_keep_versions: versions };
}
