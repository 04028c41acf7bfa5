/**
 * Rows and buckets in a file in bbolt's format. Writers do not wait for it: a put is in memory at once and goes to the file in a batch a little
 * later. Batches are cut between two turns of the event loop, so that each contains whole entries of the log and, in the same transaction, the index
 * of the last of them (`beforeCommit`).
 *
 * Upstream: server/storage/backend/backend.go, batch_tx.go
 */
import { InvariantError } from "../../base/assert.ts";
import { deferred } from "../../base/deferred.ts";
import { SortedMap } from "../../base/sorted-map.ts";
import type { World } from "../../world/world.ts";
import { NO_FAILPOINTS, type Failpoints } from "../failpoints.ts";
import { BUCKETS, type Backend, type BackendSnapshot, type Bucket, type BucketName, type KeyValue } from "./backend.ts";
import { BoltFile, type DefragPosition, type Pin } from "./bolt/file.ts";
import type { Page } from "./bolt/format.ts";
import { find, type BucketChanges, type Change } from "./bolt/tree.ts";
import { RowCache, type Block } from "./row-cache.ts";
import { decodeRow, mainOf, revisionKey, subOf } from "./rows.ts";

export interface BoltBackendOptions {
  readonly batchIntervalMs: number;
  /** Operations after which a batch doesn't wait for its time. */
  readonly batchLimit: number;
  /** Of rows that were written of late, and of pages. */
  readonly cacheBytes: number;
  readonly pageSize?: number;
  readonly isReadOnly?: boolean;
}

export interface BoltBackendDeps extends Pick<World, "clock" | "fs"> {
  /** Told when the file can't be written: then nothing more will be. */
  readonly onFailure: (error: unknown) => void;
  readonly onCommit?: (ms: number) => void;
  readonly failpoints?: Failpoints;
}

/** Shown each row of the file at the start, in order of revision. The bytes are only lent. */
export type RowVisitor = (key: Uint8Array, value: Uint8Array) => void;

/** What changed since the batch before. */
interface Batch {
  readonly number: number;
  readonly rows: BlockRows[];
  readonly deleted: DeletedRow[];
  readonly buckets: Map<BucketName, Map<string, Uint8Array | undefined>>;
  operations: number;
}

/** Rows that follow on each other. */
interface BlockRows {
  readonly block: Block;
  readonly from: number;
  to: number;
}

interface DeletedRow extends Change {
  readonly main: number;
  readonly sub: number;
}

const KEY = Buffer.from("key");
/** Revisions come in order: pages are filled up. */
const KEY_FILL = 0.9;
/** Of the cache; the rest is for rows that were written of late. */
const PAGES_SHARE = 0.25;
/** Rows gathered between two pauses: a fraction of a millisecond. */
const ROWS_A_SLICE = 200;
/** Leaves that a defragmentation looks at in one transaction. */
const DEFRAG_PAGES = 512;

export class BoltBackend implements Backend {
  readonly #deps: BoltBackendDeps;
  readonly #options: BoltBackendOptions;
  readonly #file: BoltFile;
  readonly #rows: RowCache;
  readonly #buckets = new Map<BucketName, SortedMap<Uint8Array>>();
  #batch: Batch;
  /** Rows deleted and not yet gone from the file. */
  readonly #deleted = new Set<RowId>();
  #keyRoot: Page | undefined;
  #keyBucketTxid = -1;
  #timer: Disposable | undefined;
  #isDue = false;
  /** The end of the last transaction asked for. */
  #work: Promise<void> = Promise.resolve();
  #failure: unknown;
  #isClosed = false;
  /**
   * Where in each interval, from 0 to 1, batches end. Members that all began theirs with the same entry would commit at the same time, and each of
   * them would be late with the next entries. Undefined for who is alone: an interval then begins with its first change.
   */
  turn: number | undefined;
  /** Called where a batch ends: the place to put what must be in it. */
  beforeCommit: (() => void) | undefined;
  /** Until what a batch that has just ended comes of is kept in the log: it must not be in the file before that. */
  isLogged: (() => Promise<void> | undefined) | undefined;

  /** Opens a file, or makes one, and walks over it. */
  static async open(
    path: string,
    options: BoltBackendOptions,
    deps: BoltBackendDeps,
    onRow: RowVisitor = () => undefined,
  ): Promise<BoltBackend> {
    const file = await BoltFile.open(deps.fs, path, {
      ...(options.pageSize !== undefined && { pageSize: options.pageSize }),
      readOnly: options.isReadOnly === true,
      cacheBytes: options.cacheBytes * PAGES_SHARE,
    });
    try {
      const buckets = new Map<BucketName, SortedMap<Uint8Array>>();
      for (const name of BUCKETS) buckets.set(name, new SortedMap());
      let lastMain = 0;
      await file.load(
        (name, key, value) => {
          if (name === "key") {
            lastMain = mainOf(key);
            onRow(key, value);
          } else
            buckets
              .get(name as BucketName)
              ?.set(Buffer.from(key).toString("latin1"), Uint8Array.prototype.slice.call(value));
        },
        () => pause(deps.clock),
      );
      const backend = new BoltBackend(file, options, deps, buckets, lastMain);
      if (options.isReadOnly !== true && file.bucket(KEY) === undefined) {
        // As upstream's: tools look for these buckets in a file that nothing was written to.
        const none: BucketChanges = { changes: [] };
        await file.commit(new Map(["key", ...BUCKETS].map((name) => [name, none])));
      }
      return backend;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(
    file: BoltFile,
    options: BoltBackendOptions,
    deps: BoltBackendDeps,
    buckets: ReadonlyMap<BucketName, SortedMap<Uint8Array>>,
    lastMain: number,
  ) {
    this.#file = file;
    this.#options = options;
    this.#deps = deps;
    for (const [name, entries] of buckets) this.#buckets.set(name, entries);
    this.#rows = new RowCache(options.cacheBytes * (1 - PAGES_SHARE), lastMain);
    this.#batch = newBatch(1);
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }
  get inUseBytes(): number {
    return this.#file.inUseBytes;
  }
  get hasRowsOnDisk(): boolean {
    return this.#rows.hasDropped;
  }
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }
  get pendingOperations(): number {
    return this.#batch.operations;
  }

  bucket(name: BucketName): Bucket {
    const entries = this.#buckets.get(name)!;
    const change = (key: string, value: Uint8Array | undefined) => {
      let changes = this.#batch.buckets.get(name);
      if (changes === undefined) this.#batch.buckets.set(name, (changes = new Map()));
      changes.set(key, value);
      this.#count();
    };
    return {
      get: (key) => entries.get(key),
      put: (key, value) => {
        entries.set(key, value);
        change(key, value);
      },
      delete: (key) => {
        if (entries.delete(key)) change(key, undefined);
      },
      forEach: (visit) => entries.forEach("", undefined, (value, key) => visit(key, value)),
    };
  }

  put(row: KeyValue, sub: number): void {
    const batch = this.#batch;
    const block = this.#rows.put(row, sub, batch.number);
    const last = batch.rows.at(-1);
    if (last?.block === block) last.to++;
    else batch.rows.push({ block, from: block.count - 1, to: block.count });
    this.#count();
  }

  get(main: number, sub: number): KeyValue | undefined {
    const row = this.#rows.get(main, sub);
    if (row !== undefined || this.#rows.isComplete(main)) return row;
    return this.#getFromFile(main, sub);
  }

  /** A row in views of the page that it is on: whoever keeps it for long makes copies. */
  #getFromFile(main: number, sub: number): KeyValue | undefined {
    if (this.#deleted.size > 0 && this.#deleted.has(rowId(main, sub))) return undefined;
    const root = this.#keyBucket;
    // A tombstone's mark may have put it at the beginning of the next page.
    const at = find(this.#file, root, revisionKey(main, sub)) ?? find(this.#file, root, revisionKey(main, sub, true));
    return at === undefined ? undefined : decodeRow(at.page.key(at.index), at.page.value(at.index));
  }

  /** The root of the rows, as of the last commit. */
  get #keyBucket(): Page | undefined {
    const { txid } = this.#file.meta;
    if (txid !== this.#keyBucketTxid) {
      this.#keyBucketTxid = txid;
      this.#keyRoot = this.#file.bucket(KEY);
    }
    return this.#keyRoot;
  }

  delete(main: number, sub: number, isTombstone: boolean): void {
    this.#rows.delete(main, sub);
    this.#batch.deleted.push({ key: revisionKey(main, sub, isTombstone), value: undefined, main, sub });
    this.#deleted.add(rowId(main, sub));
    this.#count();
  }

  scan(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): void {
    // What is not on disk yet is in memory in any case.
    const inFile = Math.min(to, this.#rows.incompleteUntil);
    if (from <= inFile && !this.#scanFile(Math.max(0, from), inFile, visit)) return;
    if (to > inFile) this.#rows.scan(Math.max(from, inFile + 1), to, visit);
  }

  #scanFile(from: number, to: number, visit: (row: KeyValue, sub: number) => boolean | void): boolean {
    let goesOn = true;
    this.#file.scan(this.#keyBucket, revisionKey(from, 0), (key, value) => {
      const main = mainOf(key);
      if (main > to) return false;
      const sub = subOf(key);
      if (this.#deleted.size > 0 && this.#deleted.has(rowId(main, sub))) return true;
      goesOn = visit(decodeRow(key, value), sub) !== false;
      return goesOn;
    });
    return goesOn;
  }

  #count(): void {
    const operations = ++this.#batch.operations;
    if (this.#isDue) return;
    if (operations >= this.#options.batchLimit) {
      this.#isDue = true;
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
      this.#deps.clock.soon(() => this.#commitInBackground());
    } else if (this.#timer === undefined)
      this.#timer = this.#deps.clock.after(this.#untilEnd(), () => {
        this.#timer = undefined;
        this.#isDue = true;
        this.#commitInBackground();
      });
  }

  #untilEnd(): number {
    const { batchIntervalMs } = this.#options;
    if (this.turn === undefined) return batchIntervalMs;
    return batchIntervalMs - ((this.#deps.clock.now() + (1 - this.turn) * batchIntervalMs) % batchIntervalMs);
  }

  #commitInBackground(): void {
    if (this.#isClosed) return;
    this.commit().catch(() => {}); // `onFailure` was told.
  }

  /** Resolves when all that was put by now is in the file. */
  commit(): Promise<void> {
    return this.#exclusively(() => this.#commitBatch());
  }

  /**
   * One transaction after the other. Where a batch fails, every one after it does: it would lack what was in that. What only `tidies` may fail, as
   * long as it leaves the file as it was.
   */
  #exclusively(run: () => Promise<void>, tidies = false): Promise<void> {
    const work = this.#work.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await run();
      } catch (error) {
        if (tidies && this.#file.isIntact) throw error;
        this.#failure = error;
        this.#deps.onFailure(new Error("failed to commit tx", { cause: error }));
        throw error;
      }
    });
    this.#work = work.catch(() => {}); // Who asked is told; the next one goes on from what is on disk.
    return work;
  }

  async #commitBatch(): Promise<void> {
    const begun = this.#deps.clock.monotonic();
    const points = this.#deps.failpoints ?? NO_FAILPOINTS;
    points.commitBeforePreCommitHook?.strike();
    this.beforeCommit?.();
    points.commitAfterPreCommitHook?.strike();
    const batch = this.#batch;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#isDue = false;
    if (batch.operations === 0) return;
    points.beforeStartDBTxn?.strike();
    this.#batch = newBatch(batch.number + 1);
    points.afterStartDBTxn?.strike();
    const logging = this.isLogged?.();
    if (logging !== undefined) await logging;
    const changes = new Map<string, BucketChanges>();
    for (const [name, entries] of batch.buckets) changes.set(name, { changes: bucketChanges(entries) });
    const keyChanges = await this.#keyChanges(batch);
    if (keyChanges.length > 0) changes.set("key", { changes: keyChanges, fill: KEY_FILL });
    points.beforeCommit?.strike();
    await this.#file.commit(changes, () => pause(this.#deps.clock));
    points.afterCommit?.strike();
    points.beforeWritebackBuf?.strike();
    for (const { main, sub } of batch.deleted) this.#deleted.delete(rowId(main, sub));
    this.#rows.shrink(batch.number);
    points.afterWritebackBuf?.strike();
    this.#deps.onCommit?.(this.#deps.clock.monotonic() - begun);
  }

  async #keyChanges({ rows, deleted }: Batch): Promise<readonly Change[]> {
    const puts: Change[] = [];
    for (const { block, from, to } of rows)
      for (let i = from; i < to; i++) {
        puts.push(block.bytesOf(i));
        if (puts.length % ROWS_A_SLICE === 0) await pause(this.#deps.clock);
      }
    if (deleted.length === 0) return puts;
    // A compaction goes along the revisions: they are nearly always in order.
    if (deleted.some((one, i) => i > 0 && inOrder(deleted[i - 1]!, one) > 0)) deleted.sort(inOrder);
    const all: Change[] = [];
    let at = 0;
    for (const [i, put] of puts.entries()) {
      if (i % ROWS_A_SLICE === 0) await pause(this.#deps.clock);
      while (at < deleted.length && Buffer.compare(deleted[at]!.key, put.key) < 0) all.push(deleted[at++]!);
      // Written and compacted in one batch: it never was.
      if (at < deleted.length && Buffer.compare(deleted[at]!.key, put.key) === 0) continue;
      all.push(put);
    }
    while (at < deleted.length) all.push(deleted[at++]!);
    return all;
  }

  /** The file as it is when everything put by now is in it; writing goes on meanwhile. */
  async snapshot(): Promise<BackendSnapshot> {
    await this.commit();
    const pin = this.#file.pin();
    return {
      sizeBytes: pin.meta.pages * pin.meta.pageSize,
      read: (bytes) => this.#file.stream(pin, bytes),
      bucket: (name) => this.#pinnedBucket(pin, name),
      [Symbol.dispose]: () => pin[Symbol.dispose](),
    };
  }

  #pinnedBucket({ meta }: Pin, name: BucketName): Bucket {
    const file = this.#file;
    const root = () => file.bucket(Buffer.from(name), meta);
    const refuse = () => {
      throw new InvariantError("a snapshot can't be written to");
    };
    return {
      get: (key) => file.get(root(), Buffer.from(key, "latin1")),
      put: refuse,
      delete: refuse,
      forEach: (visit) =>
        file.scan(root(), new Uint8Array(0), (key, value) => visit(Buffer.from(key).toString("latin1"), value)),
    };
  }

  /** Closes the file's gaps, a little at a time, between batches; requests go on meanwhile. */
  async defragment(): Promise<void> {
    const { clock, failpoints: points = NO_FAILPOINTS } = this.#deps;
    const failure = points.defragOpenFileError?.strike() ?? points.defragdbFail?.strike();
    if (failure !== undefined) throw new Error(String(failure));
    points.defragBeforeCopy?.strike();
    for (let round = 0; round < 4; round++) {
      const before = this.#file.sizeBytes;
      let at: DefragPosition | undefined;
      let isOver = false;
      while (!isOver) {
        await this.#exclusively(async () => {
          const next = await this.#file.defragment(at, DEFRAG_PAGES, () => pause(clock));
          isOver = next === undefined;
          at = next;
        }, true);
        await pause(clock);
      }
      points.defragBeforeRename?.strike();
      if (this.#file.sizeBytes === before && round > 0) break;
    }
  }

  /** What is wrong with the file; nothing, that is. */
  check(): Promise<string[]> {
    const result = deferred<string[]>();
    this.#exclusively(async () => result.resolve(await this.#file.check(() => pause(this.#deps.clock)))).catch(
      result.reject,
    );
    return result.promise;
  }

  /** Closes without a commit: what is not in the file yet is of no more use. */
  async abandon(): Promise<void> {
    this.#failure ??= new Error("the backend is closed");
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#failure === undefined) await this.commit().catch(() => {}); // `onFailure` was told.
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#work;
    await this.#file.close();
  }
}

/** A revision as one value: nearly always its main part alone. */
type RowId = number | string;

function rowId(main: number, sub: number): RowId {
  return sub === 0 ? main : `${main}_${sub}`;
}

function inOrder(a: DeletedRow, b: DeletedRow): number {
  return a.main - b.main || a.sub - b.sub || a.key.length - b.key.length;
}

function newBatch(number: number): Batch {
  return { number, rows: [], deleted: [], buckets: new Map(), operations: 0 };
}

function bucketChanges(entries: ReadonlyMap<string, Uint8Array | undefined>): Change[] {
  const changes = [...entries].map(([key, value]): Change => ({ key: Buffer.from(key, "latin1"), value }));
  return changes.sort((a, b) => Buffer.compare(a.key, b.key));
}

function pause(clock: World["clock"]): Promise<void> {
  return new Promise((resolve) => clock.soon(resolve));
}
