/**
 * Ranges of very many keys. Read in one go a million rows would hold up everybody for seconds, so they are read in slices, all of one revision,
 * and for a wire each slice becomes bytes before the next is read.
 */
import type { RangeRequest, RangeResponse, ResponseHeader } from "../../protocols/etcd/generated.ts";
import { RangeResponse as RangeResponseType } from "../../protocols/etcd/generated.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import { EncodedPieces, type Codec } from "../../wire/rpc/codec.ts";
import { RpcError, type Init } from "../../wire/rpc/service.ts";
import { withoutValues } from "../apply/range.ts";
import type { KeyValue } from "../backend/backend.ts";
import type { Store } from "../mvcc/store.ts";

/** A range with more keys than this is a large one. */
const LARGE = 5000;
/** Keys between two pauses: a few milliseconds, where the rows are on disk. */
const KEYS_A_SLICE = 500;
/** Compactions may come in between, and make it begin anew. */
const ATTEMPTS = 5;
const NUL = new Uint8Array(1);

export interface LargeRangeDeps {
  readonly store: Store;
  readonly header: (revision: number) => ResponseHeader;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
  /** For a wire: the answer is bytes. Without it, it is an object. */
  readonly codec: Codec | undefined;
}

/** Whether there is that much to read. What is sorted or filtered is looked at as a whole. */
export function isLarge(store: Store, request: Init<RangeRequest>): boolean {
  const { range_end: end, limit = 0, revision = 0, sort_order = "NONE", sort_target = "KEY" } = request;
  if (end === undefined || end.length === 0 || request.count_only || (limit > 0 && limit <= LARGE)) return false;
  if (sort_order === "DESCEND" || (sort_order === "ASCEND" && sort_target !== "KEY")) return false;
  if (request.min_mod_revision || request.max_mod_revision) return false;
  if (request.min_create_revision || request.max_create_revision) return false;
  // How many keys there were in the past takes a walk to tell; those of now are a good guess.
  if (limit > 0 && revision > 0) return false;
  return store.countNow(request.key!, end) > LARGE;
}

export async function largeRange(deps: LargeRangeDeps, request: Init<RangeRequest>): Promise<RangeResponse> {
  deps.store.countRange();
  for (let attempt = 1; ; attempt++)
    try {
      return await read(deps, request);
    } catch (error) {
      // Who asks for the present gets a newer one, then.
      const isOvertaken = error instanceof RpcError && error.code === "OutOfRange" && !request.revision;
      if (!isOvertaken || attempt === ATTEMPTS) throw error;
    }
}

async function read(
  { store, header, pause, codec }: LargeRangeDeps,
  request: Init<RangeRequest>,
): Promise<RangeResponse> {
  const { backend } = store;
  const { limit = 0, range_end: end } = request;
  const present = store.revision;
  const revision = request.revision && request.revision > 0 ? request.revision : present;
  const wanted = limit > 0 ? limit : Infinity;
  const countNow = limit > 0 ? store.countNow(request.key!, end!) : 0;
  const all: KeyValue[] = [];
  const pieces: Uint8Array[] = [];
  let read = 0;
  for (let key = request.key!; read < wanted;) {
    if (store.backend !== backend) throw etcdError("compacted");
    const size = Math.min(KEYS_A_SLICE, wanted - read);
    const { kvs } = store.range(key, end, { limit: size, revision, countOnly: false, pageOnly: true });
    read += kvs.length;
    const shown = request.keys_only ? withoutValues(request, kvs) : kvs;
    if (codec === undefined) for (const kv of shown) all.push(kv);
    else pieces.push(codec.encode(RangeResponseType, { kvs: shown }));
    if (kvs.length < size) break;
    key = Buffer.concat([kvs.at(-1)!.key, NUL]);
    await pause();
  }
  const count = limit > 0 ? countNow : read;
  const rest = { header: header(present), more: count > read, count };
  if (codec === undefined) return { ...rest, kvs: all };
  // A message may be cut anywhere between its fields.
  return new LargeAnswer([codec.encode(RangeResponseType, rest), ...pieces], read) as unknown as RangeResponse;
}

/** For the log, it tells how many keys it has. */
class LargeAnswer extends EncodedPieces {
  readonly kvs: { readonly length: number };
  constructor(pieces: readonly Uint8Array[], keys: number) {
    super(pieces);
    this.kvs = { length: keys };
  }
}
