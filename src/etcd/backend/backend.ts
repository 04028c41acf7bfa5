/**
 * Stores the versions of keys by revision, and some small buckets. The key index in memory finds the revision; the backend has the key and the
 * value. Members use a file (`bolt-backend.ts`); tests can do without one (`testing/memory-backend.ts`).
 * Upstream: server/storage/backend
 */
import type { MvccpbKeyValue } from "../../protocols/etcd/generated.ts";

/** A version of a key, frozen by habit: readers, watchers and the store share it. `version` 0 is a tombstone. */
export type KeyValue = MvccpbKeyValue;

/** The small buckets beside the rows, by upstream's names. */
export const BUCKETS = [
  "meta",
  "lease",
  "alarm",
  "cluster",
  "members",
  "members_removed",
  "auth",
  "authUsers",
  "authRoles",
] as const;
export type BucketName = (typeof BUCKETS)[number];

/** Keys and values of one kind. Keys are text of one byte a character (`latin1`), in the order of their bytes. */
export interface Bucket {
  get(key: string): Uint8Array | undefined;
  put(key: string, value: Uint8Array): void;
  delete(key: string): void;
  /** Visits in order until `visit` says false. */
  forEach(visit: (key: string, value: Uint8Array) => boolean | void): void;
}

/** A state of the whole, as a file of bbolt's format, readable until it is let go of. */
export interface BackendSnapshot extends Disposable {
  readonly sizeBytes: number;
  /** The file in pieces of about `bytes`. */
  read(bytes: number): AsyncIterable<Uint8Array>;
  /** As it was then; nothing can be put. */
  bucket(name: BucketName): Bucket;
}

export interface Backend {
  /** What is put into a bucket and what is put beside it in the same turn are committed together or not at all. */
  bucket(name: BucketName): Bucket;
  /** What it takes, as a quota sees it: the file's length in memory an estimate. */
  readonly sizeBytes: number;
  /** Of that, without what is free. */
  readonly inUseBytes: number;
  /** Some rows aren't in memory: reading them in order of revision is quicker. */
  readonly hasRowsOnDisk: boolean;
  /** It can't keep anything any more. */
  readonly hasFailed: boolean;
  /** Revisions come in order, and `row.mod_revision` is the main one. The bytes are copied. */
  put(row: KeyValue, sub: number): void;
  get(main: number, sub: number): KeyValue | undefined;
  /** What is deleted is a row or a tombstone. */
  delete(main: number, sub: number, isTombstone: boolean): void;
  /** Visits what is there from main revision `from` up to and including `to`, in order, until `visit` says false. */
  scan(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): void;
}
