/**
 * Ranges over very many keys. In one go these would block everybody for seconds, so they are read in slices, all at one revision (`ReadPin`), sorted
 * in parts that are merged, and for a remote client each slice is encoded before the next is read.
 */
import type { RangeRequest, RangeResponse, ResponseHeader } from "../../protocols/etcd/generated.ts";
import { RangeResponse as RangeResponseType } from "../../protocols/etcd/generated.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import { EncodedPieces, type Codec } from "../../wire/rpc/codec.ts";
import { RpcError, type Init } from "../../wire/rpc/service.ts";
import { isFiltered, orderOf, passes, withoutValues, type Order } from "../apply/range.ts";
import type { KeyValue } from "../backend/backend.ts";
import type { Store } from "../mvcc/store.ts";
import { mergeSorted } from "./merge-sorted.ts";

/** A range with more keys than this is a large one. */
const LARGE = 5000;
/** Rows between two pauses: a few milliseconds, where they are on disk, and fewer where they are large. Keys are looked at much quicker. */
const ROWS_A_SLICE = 500;
const BYTES_A_SLICE = 1024 * 1024;
const KEYS_A_SLICE = 5000;
/** What is sorted at once. */
const ROWS_A_RUN = 4000;
/** Another state may take the store's place in between, and make it begin anew. */
const ATTEMPTS = 5;

export interface LargeRangeDeps {
  readonly store: Store;
  readonly header: (revision: number) => ResponseHeader;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
  /** For a wire: the answer is bytes. Without it, it is an object. */
  readonly codec: Codec | undefined;
}

/** Whether there is that much to look at. */
export function isLarge(store: Store, request: Init<RangeRequest>): boolean {
  const { range_end: end, limit = 0, revision = 0 } = request;
  if (end === undefined || end.length === 0) return false;
  // How many keys there are now is known without a walk. For how many there were, each has to be looked at, whatever the limit.
  const isPast = revision > 0 && revision < store.revision;
  const looksAtAll = isPast || (!request.count_only && takesAll(request));
  if (!looksAtAll && (request.count_only || (limit > 0 && limit <= LARGE))) return false;
  return store.countNow(request.key!, end) > LARGE;
}

/** Sorting and filtering come before the limit; not so an order that goes without saying, which only what is in the answer has. */
function takesAll(request: Init<RangeRequest>): boolean {
  return isFiltered(request) || ((request.sort_order ?? "NONE") !== "NONE" && orderOf(request) !== undefined);
}

export async function largeRange(deps: LargeRangeDeps, request: Init<RangeRequest>): Promise<RangeResponse> {
  deps.store.countRange();
  for (let attempt = 1; ; attempt++)
    try {
      return await read(deps, request);
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      if (attempt === ATTEMPTS) throw etcdError("compacted");
    }
}

/** The store has another state. */
class Overtaken extends RpcError {
  constructor() {
    super("Unavailable", "the state was replaced");
  }
}

async function read(deps: LargeRangeDeps, request: Init<RangeRequest>): Promise<RangeResponse> {
  const { store } = deps;
  const { limit = 0, range_end: end } = request;
  const present = store.revision;
  const revision = request.revision && request.revision > 0 ? request.revision : present;
  const countNow = revision < present ? undefined : store.countNow(request.key!, end!);
  const order = orderOf(request);
  const wanted = limit > 0 ? limit : Infinity;
  // One more than the limit, as upstream: it is left out once they are in order.
  const rows = request.count_only ? 0 : takesAll(request) ? Infinity : order === undefined ? wanted : wanted + 1;
  const answer = new Answer(deps, request);
  using pin = store.pin(request.key!, end!, revision);
  const { backend } = store;
  const sorted = order === undefined ? undefined : new Sorted(order);
  let count = 0;
  let read = 0;
  let passed = 0;
  let size = ROWS_A_SLICE;
  for (;;) {
    const slice = store.slice(pin, read < rows ? size : KEYS_A_SLICE, rows - read);
    count += slice.count;
    read += slice.kvs.length;
    const kvs = isFiltered(request) ? slice.kvs.filter((kv) => passes(request, kv)) : slice.kvs;
    if (sorted !== undefined) sorted.add(kvs);
    else if (passed < wanted) answer.add(passed + kvs.length > wanted ? kvs.slice(0, wanted - passed) : kvs);
    passed += kvs.length;
    if (slice.isLast || (read >= rows && countNow !== undefined)) break;
    const bytes = slice.kvs.reduce((sum, { value }) => sum + value.length, 0);
    size = bytes > BYTES_A_SLICE ? Math.max(1, size >> 1) : Math.min(ROWS_A_SLICE, size * 2);
    await deps.pause();
    if (store.backend !== backend) throw new Overtaken();
  }
  if (sorted !== undefined)
    for await (const kvs of sorted.first(wanted, ROWS_A_SLICE)) {
      answer.add(kvs);
      await deps.pause();
    }
  const total = countNow ?? count;
  const isCut = request.count_only ? false : takesAll(request) ? passed > wanted : total > wanted;
  return answer.end({ header: deps.header(present), more: isCut, count: total });
}

/** Rows that come in the order of their keys and leave in another. */
class Sorted {
  readonly #order: Order;
  readonly #runs: KeyValue[][] = [];
  #run: KeyValue[] = [];

  constructor(order: Order) {
    this.#order = order;
  }

  add(kvs: readonly KeyValue[]): void {
    for (const kv of kvs) this.#run.push(kv);
    if (this.#run.length >= ROWS_A_RUN) this.#endRun();
  }

  #endRun(): void {
    this.#runs.push(this.#run.sort(this.#order));
    this.#run = [];
  }

  /** Up to `wanted`, in pieces. */
  first(wanted: number, piece: number): Iterable<KeyValue[]> {
    this.#endRun();
    return mergeSorted(this.#runs, this.#order, wanted, piece);
  }
}

/** What is said, as it is read. */
class Answer {
  readonly #request: Init<RangeRequest>;
  readonly #codec: Codec | undefined;
  readonly #kvs: KeyValue[] = [];
  readonly #pieces: Uint8Array[] = [];
  #keys = 0;

  constructor({ codec }: LargeRangeDeps, request: Init<RangeRequest>) {
    this.#codec = codec;
    this.#request = request;
  }

  add(kvs: readonly KeyValue[]): void {
    if (kvs.length === 0) return;
    this.#keys += kvs.length;
    const shown = this.#request.keys_only ? withoutValues(this.#request, kvs) : kvs;
    if (this.#codec === undefined) for (const kv of shown) this.#kvs.push(kv);
    else this.#pieces.push(this.#codec.encode(RangeResponseType, { kvs: shown }));
  }

  end(rest: Omit<RangeResponse, "kvs">): RangeResponse {
    if (this.#codec === undefined) return { ...rest, kvs: this.#kvs };
    // A message may be cut anywhere between its fields.
    const pieces = [this.#codec.encode(RangeResponseType, rest), ...this.#pieces];
    return new LargeAnswer(pieces, this.#keys) as unknown as RangeResponse;
  }
}

/** For the log, it tells how many keys it has. */
class LargeAnswer extends EncodedPieces {
  readonly kvs: { readonly length: number };
  constructor(pieces: readonly Uint8Array[], keys: number) {
    super(pieces);
    this.kvs = { length: keys };
  }
}
