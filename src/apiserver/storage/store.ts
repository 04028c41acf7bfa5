/**
 * Objects in etcd: upstream's keys, one transaction per write that compares `mod_revision`, and values in JSON or protobuf, both of which can always
 * be read.
 * Upstream: pkg/storage/etcd3/store.go.
 */
import { deepFreeze } from "../../base/mutable.ts";
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { MvccpbKeyValue } from "../../protocols/etcd/generated.ts";
import { type GroupResource, StatusError } from "../../machinery/status.ts";
import type { Clock } from "../../world/world.ts";
import type { Transformer } from "../encryption/transformer.ts";
import { CorruptObject, type Flaw, readAll } from "./corrupt.ts";
import { Entry } from "./entry.ts";

export type EtcdOperation = "get" | "list" | "create" | "update" | "delete";

export interface StoreOptions {
  readonly etcd: EtcdClient;
  readonly clock: Clock;
  readonly resource: GroupResource;
  /** Whether clients are told which objects can't be read, and may delete them all the same. */
  readonly namesCorrupt?: boolean;
  /** What values go through on their way to etcd; absent: nothing. */
  readonly transformer?: Transformer;
  /** From a stored value to a defaulted object in the stored version. */
  decode(value: Uint8Array): KubeObject;
  /** Told with how many objects a lease is given up for the next one, which takes the last of them. */
  leased?(objects: number): void;
  /** Told of each request to etcd. */
  asked?(operation: EtcdOperation, ms: number, failed: boolean): void;
  /** Told of the revision of each write, whose answer waits for the promise. */
  written?(revision: number): Promise<void> | undefined;
  /** From an object without a resourceVersion to the value that is stored; default JSON. */
  encode?(object: KubeObject): Uint8Array;
}

/** What an update wants: a new object, nothing (`same`), or the object's end. */
export type Change = { readonly put: KubeObject; readonly ttlSeconds?: number } | "same" | "delete";

/** A create met an object of that name. */
export class ExistsError extends Error {}

const utf8 = new TextEncoder();

/** Leases are shared: this many seconds at most of a TTL, and so many objects. */
const LEASE_REUSE_SECONDS = 60;
const LEASE_MAX_OBJECTS = 1000;

export class Store {
  readonly #etcd: EtcdClient;
  readonly #clock: Clock;
  readonly #resource: GroupResource;
  readonly #namesCorrupt: boolean;
  readonly #decode: StoreOptions["decode"];
  readonly #encode: (object: KubeObject) => Uint8Array;
  readonly #transformer: Transformer | undefined;
  readonly #asked: StoreOptions["asked"];
  readonly #leased: StoreOptions["leased"];
  readonly #told: StoreOptions["written"];
  /** Writes under way: the watch that sees their bytes come back takes the object that is here already. */
  readonly #written = new Map<
    string,
    { readonly value: Uint8Array; readonly object: KubeObject; entry: Entry | undefined }
  >();
  /** Of the values that were decoded here. */
  #decodedBytes = 0;
  #decoded = 0;
  readonly #leases = new Map<number, { readonly id: bigint; readonly until: number; objects: number }>();

  constructor(options: StoreOptions) {
    const { etcd, clock, transformer, asked, leased, written, decode, encode } = options;
    this.#resource = options.resource;
    this.#namesCorrupt = options.namesCorrupt === true;
    this.#leased = leased;
    this.#told = written;
    this.#transformer = transformer;
    this.#asked = asked;
    this.#etcd = etcd;
    this.#clock = clock;
    this.#decode = decode;
    this.#encode = encode === undefined ? encodeStored : (object) => encode(unversioned(object));
  }

  /** How large a stored object is on average, as far as any was seen; else 0. */
  get averageBytes(): number {
    return this.#decoded === 0 ? 0 : this.#decodedBytes / this.#decoded;
  }

  /** The entry at a key, and etcd's revision at that moment. */
  async get(
    key: string,
    cached?: Entry,
  ): Promise<{ readonly entry: Entry | undefined; readonly revision: number; readonly stale: boolean }> {
    const answer = await this.#timed("get", this.#etcd.kv.Range({ key: utf8.encode(key), limit: 1 }));
    const kv = answer.kvs[0];
    const revision = answer.header!.revision;
    if (kv === undefined) return { entry: undefined, revision, stale: false };
    await this.prepare([kv.value]);
    return {
      entry: this.entryOf(kv, cached, key),
      revision,
      stale: this.#transformer?.isStale?.(kv.value) ?? false,
    };
  }

  /** A page of the keys below `prefix`, from `start` on, at `revision` (0: now). */
  async list(
    prefix: string,
    { start = prefix, limit = 0, revision = 0 }: { start?: string; limit?: number; revision?: number } = {},
    cached?: (key: string) => Entry | undefined,
  ): Promise<{ entries: Entry[]; revision: number; more: boolean; count: number }> {
    const answer = await this.#timed(
      "list",
      this.#etcd.kv.Range({ key: utf8.encode(start), range_end: prefixEnd(prefix), limit, revision }),
    );
    if (this.#transformer !== undefined) await this.prepare(answer.kvs.map(({ value }) => value));
    const entries = readAll(answer.kvs, this.#resource, (kv) => {
      const key = Buffer.from(kv.key.buffer, kv.key.byteOffset, kv.key.byteLength).toString();
      return this.entryOf(kv, cached?.(key), key);
    });
    return { entries, revision: answer.header!.revision, more: answer.more, count: answer.count };
  }

  #timed<T>(operation: EtcdOperation, answer: Promise<T>): Promise<T> {
    if (this.#asked === undefined) return answer;
    const from = this.#clock.monotonic();
    return answer.then(
      (value) => {
        this.#asked!(operation, this.#clock.monotonic() - from, false);
        return value;
      },
      (error: unknown) => {
        this.#asked!(operation, this.#clock.monotonic() - from, true);
        throw error;
      },
    );
  }

  /** etcd's revision now. */
  async currentRevision(prefix: string): Promise<number> {
    const answer = await this.#etcd.kv.Range({ key: utf8.encode(prefix), limit: 1, keys_only: true });
    return answer.header!.revision;
  }

  async create(key: string, object: KubeObject, ttlSeconds?: number): Promise<Entry> {
    const answer = await this.#write(key, 0, object, ttlSeconds).catch((error: unknown) => {
      // There is something, whatever it is.
      throw error instanceof CorruptObject ? new ExistsError(key) : error;
    });
    if (answer instanceof Entry) return answer;
    throw new ExistsError(key);
  }

  /**
   * Reads, asks `change` what to write, writes if nothing came between, else starts again with what is there now. `change` may throw to give up;
   * it must not have effects, as it can run more than once. Starts from `cached` where there is one: a stale one costs a round, never a wrong write.
   */
  async update(
    key: string,
    cached: Entry | undefined,
    change: (current: Entry | undefined) => Promise<Change> | Change,
  ): Promise<{ readonly entry: Entry; readonly deleted: boolean } | undefined> {
    let current = cached;
    let fresh = false;
    /** Of what is fresh: it would be encrypted otherwise today. */
    let stale = false;
    if (current === undefined) {
      ({ entry: current, stale } = await this.get(key));
      fresh = true;
    }
    for (;;) {
      let wanted: Change;
      try {
        wanted = await change(current);
      } catch (error) {
        if (fresh) throw error;
        // The refusal may rest on a stale copy: look at the real one before believing it.
        const now = await this.get(key, current);
        fresh = true;
        if (now.entry?.revision === current?.revision) throw error;
        current = now.entry;
        stale = now.stale;
        continue;
      }
      if (wanted === "same") {
        if (current === undefined) return undefined;
        if (!fresh) {
          const now = await this.get(key, current);
          fresh = true;
          stale = now.stale;
          if (now.entry?.revision !== current.revision) {
            current = now.entry;
            continue;
          }
        }
        if (!stale) return { entry: current, deleted: false };
        // Nothing new to say, but it is written again as values are written now.
        wanted = { put: current.stored };
      }
      if (wanted === "delete") {
        if (current === undefined) return undefined;
        const gone = await this.#delete(key, current);
        if (gone.deleted) return { entry: gone.entry!, deleted: true };
        current = gone.entry;
        fresh = true;
        stale = false;
        continue;
      }
      const answer = await this.#write(key, current?.revision ?? 0, wanted.put, wanted.ttlSeconds);
      if (answer instanceof Entry) return { entry: answer, deleted: false };
      current = answer.now;
      stale = answer.stale;
      fresh = true;
    }
  }

  /** Whether values aren't simply what they say. */
  get transforms(): boolean {
    return this.#transformer !== undefined;
  }

  /** Fetches what is needed to read these values: to be awaited before `entryOf`. */
  prepare(values: readonly Uint8Array[]): Promise<void> | undefined {
    return this.#transformer?.prepare?.(values);
  }

  /** An entry for a key and value; takes over what is decoded already. */
  entryOf(kv: MvccpbKeyValue, cached: Entry | undefined, key: string): Entry {
    if (cached !== undefined && cached.revision === kv.mod_revision) return cached;
    this.#decodedBytes += kv.value.length;
    this.#decoded++;
    const written = this.#written.get(key);
    if (written !== undefined && (written.value === kv.value || Buffer.compare(written.value, kv.value) === 0)) {
      // Whoever comes second, the writer or the watch, takes the other's: its bytes are made once.
      if (written.entry?.revision !== kv.mod_revision)
        written.entry = new Entry(key, kv.mod_revision, withRevision(written.object, kv.mod_revision));
      return written.entry;
    }
    return new Entry(key, kv.mod_revision, withRevision(this.#read(kv, key), kv.mod_revision));
  }

  #read({ value, mod_revision: revision }: MvccpbKeyValue, key: string): KubeObject {
    let flaw: Flaw = "transform";
    try {
      const plain = this.#transformer === undefined ? value : this.#transformer.read(value, key);
      flaw = "decode";
      return this.#decode(plain);
    } catch (error) {
      throw new CorruptObject(flaw, key, revision, this.#namesCorrupt, error);
    }
  }

  #seal(value: Uint8Array, key: string): Uint8Array {
    if (this.#transformer === undefined) return value;
    try {
      return this.#transformer.write(value, key);
    } catch (error) {
      throw new StatusError(
        "InternalError",
        `Internal error occurred: ${(error as Error).message}`,
        {},
        { cause: error },
      );
    }
  }

  async #write(
    key: string,
    expected: number,
    object: KubeObject,
    ttlSeconds: number | undefined,
  ): Promise<Entry | { readonly now: Entry | undefined; readonly stale: boolean }> {
    const value = this.#seal(this.#encode(object), key);
    const bytes = Buffer.from(key); // A quarter of what a TextEncoder takes: its memory comes from a pool.
    const lease = ttlSeconds === undefined ? 0n : await this.#lease(ttlSeconds);
    const written: { value: Uint8Array; object: KubeObject; entry: Entry | undefined } = {
      value,
      object,
      entry: undefined,
    };
    this.#written.set(key, written);
    try {
      const answer = await this.#timed(
        expected === 0 ? "create" : "update",
        this.#etcd.kv.Txn({
          compare: [{ key: bytes, target: "MOD", result: "EQUAL", mod_revision: expected }],
          success: [{ request_put: { key: bytes, value, lease } }],
          failure: [{ request_range: { key: bytes, limit: 1 } }],
        }),
      );
      if (answer.succeeded) {
        const revision = answer.header!.revision;
        const wait = this.#told?.(revision);
        if (wait !== undefined) await wait;
        if (written.entry?.revision !== revision)
          written.entry = new Entry(key, revision, withRevision(object, revision));
        return written.entry;
      }
      const kv = answer.responses[0]?.response_range?.kvs[0];
      if (kv === undefined) return { now: undefined, stale: false };
      await this.prepare([kv.value]);
      return { now: this.entryOf(kv, undefined, key), stale: this.#transformer?.isStale?.(kv.value) ?? false };
    } finally {
      // Kept one turn longer, so that a watch in this process finds it.
      this.#clock.soon(() => {
        if (this.#written.get(key) === written) this.#written.delete(key);
      });
    }
  }

  async #delete(
    key: string,
    current: Entry,
  ): Promise<{ readonly deleted: boolean; readonly entry: Entry | undefined }> {
    const bytes = Buffer.from(key); // A quarter of what a TextEncoder takes: its memory comes from a pool.
    const answer = await this.#timed(
      "delete",
      this.#etcd.kv.Txn({
        compare: [{ key: bytes, target: "MOD", result: "EQUAL", mod_revision: current.revision }],
        success: [{ request_delete_range: { key: bytes } }],
        failure: [{ request_range: { key: bytes, limit: 1 } }],
      }),
    );
    if (answer.succeeded) {
      const revision = answer.header!.revision;
      const wait = this.#told?.(revision);
      if (wait !== undefined) await wait;
      return { deleted: true, entry: new Entry(key, revision, withRevision(current.stored, revision)) };
    }
    const kv = answer.responses[0]?.response_range?.kvs[0];
    if (kv !== undefined) await this.prepare([kv.value]);
    return { deleted: false, entry: kv && this.entryOf(kv, undefined, key) };
  }

  /** Deletes what is at a key without a look at it. Whether anything was there. */
  async deleteUnread(key: string): Promise<boolean> {
    const success = [{ request_delete_range: { key: Buffer.from(key) } }];
    const answer = await this.#timed("delete", this.#etcd.kv.Txn({ success }));
    return (answer.responses[0]?.response_delete_range?.deleted ?? 0) > 0;
  }

  /** One lease for many objects: granted anew when its share of the TTL is used up. */
  async #lease(ttlSeconds: number): Promise<bigint> {
    const known = this.#leases.get(ttlSeconds);
    const now = this.#clock.monotonic();
    if (known !== undefined && now < known.until && known.objects < LEASE_MAX_OBJECTS) {
      known.objects++;
      return known.id;
    }
    const reuse = Math.min(LEASE_REUSE_SECONDS, ttlSeconds * 0.05);
    this.#leased?.((known?.objects ?? 0) + 1);
    const answer = await this.#etcd.lease.LeaseGrant({ TTL: Math.ceil(ttlSeconds + reuse), ID: 0n });
    this.#leases.set(ttlSeconds, { id: answer.ID, until: now + reuse * 1000, objects: 1 });
    return answer.ID;
  }
}

/** The object with its resourceVersion; frozen all through. */
export function withRevision<T extends KubeObject>(object: T, revision: number): T {
  return deepFreeze({
    ...object,
    metadata: orderedMetadata({ ...object.metadata, resourceVersion: String(revision) }),
  });
}

/** Go's order of fields, whoever set them when. */
const METADATA = [
  "name",
  "generateName",
  "namespace",
  "selfLink",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "labels",
  "annotations",
  "ownerReferences",
  "finalizers",
  "managedFields",
] as const satisfies readonly (keyof KubeObject["metadata"])[];

function orderedMetadata(metadata: KubeObject["metadata"]): KubeObject["metadata"] {
  const ordered: Record<string, unknown> = {};
  for (const field of METADATA) if (metadata[field] !== undefined) ordered[field] = metadata[field];
  return ordered as unknown as KubeObject["metadata"];
}

/** As it is stored: without a resourceVersion, which is etcd's to know. */
function unversioned(object: KubeObject): KubeObject {
  const { kind, apiVersion, metadata, ...rest } = object;
  return { kind, apiVersion, metadata: { ...orderedMetadata(metadata), resourceVersion: undefined }, ...rest } as never;
}

function encodeStored(object: KubeObject): Uint8Array {
  return Buffer.from(JSON.stringify(unversioned(object)));
}

/** The first key after all that begin with `prefix`. */
export function prefixEnd(prefix: string): Uint8Array {
  const end = utf8.encode(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i]! < 0xff) {
      end[i]!++;
      return end.subarray(0, i + 1);
    }
  }
  return new Uint8Array([0]);
}
