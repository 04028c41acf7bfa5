/**
 * A file in bbolt's format: trees of pages under two meta pages, of which the one of the later transaction counts. A transaction writes its
 * pages into free places, syncs, writes the older of the meta pages, syncs: a crash anywhere leaves the state before or the state after. What fails
 * before the meta page is written leaves the state before, and the file as good as it was.
 *
 * One transaction at a time; readers go on at the last committed state meanwhile, or at an older one that they pinned.
 *
 * Upstream: bbolt db.go, tx.go, bucket.go, cursor.go
 */
import { assert } from "../../../base/assert.ts";
import type { File, Fs } from "../../../world/fs.ts";
import {
  checkDepth,
  DamagedFile,
  decodeFreelist,
  decodeMeta,
  ELEMENT_BUCKET,
  encodeFreelist,
  encodeMeta,
  encodeMetaAt,
  FLAG_BRANCH,
  FLAG_LEAF,
  freelistBytes,
  HEADER_BYTES,
  Page,
  putHeader,
  type Meta,
} from "./format.ts";
import { FreePages } from "./free-pages.ts";
import { PageCache } from "./page-cache.ts";
import { changeRoot, find, packBucket, rootPage, type BucketChanges, type Pages } from "./tree.ts";

export interface BoltOptions {
  /** Of a file that is new. */
  readonly pageSize?: number;
  /** Store the free pages, as bbolt does by itself and etcd does not. */
  readonly storesFreelist?: boolean;
  readonly cacheBytes?: number;
  readonly readOnly?: boolean;
}

/** A state that stays readable until it is let go of. */
export interface Pin extends Disposable {
  readonly meta: Meta;
}

/** Lets others have their turn. */
export type Pause = () => Promise<void> | undefined;

const PAGE_SIZE_DEFAULT = 4096;
const CACHE_BYTES_DEFAULT = 32 * 1024 * 1024;
/** Pages between two pauses: a fraction of a millisecond. */
const PAGES_A_SLICE = 8;
/** Bytes in one write. */
const WRITE_BYTES = 1024 * 1024;
/** What a walk reads ahead at once. */
const READ_BYTES = 512 * 1024;
const FILL_PACKED = 0.9;

export class BoltFile {
  readonly #file: File;
  readonly #cache: PageCache;
  readonly #storesFreelist: boolean;
  readonly #free = new FreePages();
  readonly #pins = new Map<number, number>();
  #meta: Meta;
  /** Whether the free pages are known: not before the file was walked or its list read. */
  #knowsFree = false;
  #isCommitting = false;
  #isIntact = true;

  /** Opens a file, or makes one. */
  static async open(fs: Fs, path: string, options: BoltOptions = {}): Promise<BoltFile> {
    const isNew = ((await fs.stat(path))?.sizeBytes ?? 0) === 0;
    if (isNew && options.readOnly === true) throw new Error(`open ${path}: no such file or directory`);
    const file = await fs.open(path, { write: options.readOnly !== true, create: isNew, mode: 0o600 });
    try {
      if (isNew) {
        await initialise(file, options.pageSize ?? PAGE_SIZE_DEFAULT);
        await fs.syncDir(path.slice(0, path.lastIndexOf("/")) || "/");
      }
      return new BoltFile(file, await readMeta(file), options);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(file: File, meta: Meta, options: BoltOptions) {
    this.#file = file;
    this.#meta = meta;
    this.#storesFreelist = options.storesFreelist ?? false;
    this.#cache = new PageCache((options.cacheBytes ?? CACHE_BYTES_DEFAULT) / meta.pageSize);
  }

  get meta(): Meta {
    return this.#meta;
  }
  get sizeBytes(): number {
    return this.#meta.pages * this.#meta.pageSize;
  }
  get inUseBytes(): number {
    return (this.#meta.pages - this.#free.count) * this.#meta.pageSize;
  }

  /** Which state a restart would find is known. It isn't after a meta page that may or may not be on the disk. */
  get isIntact(): boolean {
    return this.#isIntact;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  readonly read = (id: number): Page => {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const page = this.#readFrom(id);
    this.#cache.set(id, page);
    return page;
  };

  #readFrom(id: number): Page {
    const { pageSize, pages } = this.#meta;
    if (id < 2 || id >= pages) throw new DamagedFile(`page ${id}: out of bounds, the file has ${pages}`);
    let page = new Page(this.#file.readSync(id * pageSize, pageSize));
    this.#verify(page, id);
    if (page.overflow > 0) page = new Page(this.#file.readSync(id * pageSize, (1 + page.overflow) * pageSize));
    return page;
  }

  #verify(page: Page, id: number): void {
    const { pages } = this.#meta;
    if (page.bytes.length < HEADER_BYTES) throw new DamagedFile(`page ${id}: beyond the end of the file`);
    if (page.id !== id) throw new DamagedFile(`page ${id}: its header says page ${page.id}`);
    if (page.flags !== FLAG_LEAF && page.flags !== FLAG_BRANCH)
      throw new DamagedFile(`page ${id}: unexpected page type (flags: ${page.flags.toString(16)})`);
    if (id + page.overflow >= pages) throw new DamagedFile(`page ${id}: it reaches beyond the end`);
    if (page.isBranch && page.count === 0) throw new DamagedFile(`page ${id}: a branch without anything below`);
  }

  /** A bucket at the top, as of the last commit or of `meta`. */
  bucket(name: Uint8Array, meta: Meta = this.#meta): Page | undefined {
    const at = find(this, this.read(meta.root), name);
    if (at === undefined || (at.page.elementFlags(at.index) & ELEMENT_BUCKET) === 0) return undefined;
    return rootPage(this, at.page.value(at.index));
  }

  bucketNames(): Uint8Array[] {
    const names: Uint8Array[] = [];
    this.scan(this.read(this.#meta.root), new Uint8Array(0), (name, _, flags) => {
      if ((flags & ELEMENT_BUCKET) !== 0) names.push(Uint8Array.from(name));
    });
    return names;
  }

  get(bucket: Page | undefined, key: Uint8Array): Uint8Array | undefined {
    const at = find(this, bucket, key);
    return at === undefined ? undefined : at.page.value(at.index);
  }

  /** Visits a bucket from `from` on in the order of keys, until `visit` says false. Values of buckets inside are those of the tree. */
  scan(
    bucket: Page | undefined,
    from: Uint8Array,
    visit: (key: Uint8Array, value: Uint8Array, flags: number) => boolean | void,
  ): void {
    if (bucket === undefined) return;
    const descend = (page: Page, from: Uint8Array | undefined, depth: number): boolean => {
      if (page.isBranch) {
        checkDepth(page, depth);
        const first = from === undefined ? 0 : page.childIndex(from);
        for (let i = first; i < page.count; i++)
          if (!descend(this.read(page.child(i)), i === first ? from : undefined, depth + 1)) return false;
        return true;
      }
      for (let i = from === undefined ? 0 : page.lowerBound(from); i < page.count; i++)
        if (visit(page.key(i), page.value(i), page.elementFlags(i)) === false) return false;
      return true;
    };
    descend(bucket, from, 0);
  }

  /** Keeps the last committed state readable. */
  pin(): Pin {
    const meta = this.#meta;
    this.#pins.set(meta.txid, (this.#pins.get(meta.txid) ?? 0) + 1);
    let isHeld = true;
    return {
      meta,
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const left = this.#pins.get(meta.txid)! - 1;
        if (left === 0) this.#pins.delete(meta.txid);
        else this.#pins.set(meta.txid, left);
      },
    };
  }

  /** The file of a pinned state from its first byte to its last, in pieces of about `bytes`. */
  async *stream({ meta }: Pin, bytes: number): AsyncGenerator<Uint8Array> {
    yield encodeMetaAt(0, meta);
    yield encodeMetaAt(1, { ...meta, txid: meta.txid - 1 });
    const end = meta.pages * meta.pageSize;
    for (let at = 2 * meta.pageSize; at < end; at += bytes) yield await this.#file.read(at, Math.min(bytes, end - at));
  }

  /**
   * Walks over the whole file once, in slices, which tells which pages are free. `visit` is shown what is in the buckets at the top, in
   * order. Has to come before the first commit.
   */
  async load(
    visit: (bucket: string, key: Uint8Array, value: Uint8Array) => void,
    pause: Pause = () => undefined,
  ): Promise<void> {
    const used = new Uint8Array(this.#meta.pages);
    let walked = 0;
    const mark = (page: Page) => {
      for (let id = page.id; id <= page.id + page.overflow; id++) {
        if (used[id] !== 0) throw new DamagedFile(`page ${id}: multiple references`);
        used[id] = 1;
      }
    };
    const walk = async (page: Page, bucket: string | undefined, isInline: boolean): Promise<void> => {
      if (!isInline) mark(page);
      if (++walked % PAGES_A_SLICE === 0) await pause();
      if (page.isBranch) {
        for await (const child of this.#children(page)) await walk(child, bucket, false);
        return;
      }
      for (let i = 0; i < page.count; i++) {
        if ((page.elementFlags(i) & ELEMENT_BUCKET) === 0) {
          if (bucket !== undefined) visit(bucket, page.key(i), page.value(i));
          continue;
        }
        const root = rootPage(this, page.value(i))!;
        // What is in buckets inside of buckets counts as used, and nothing here asks for it.
        const name = bucket === undefined ? Buffer.from(page.key(i)).toString("latin1") : "";
        await walk(root, name, root.id === 0);
      }
    };
    await walk(this.read(this.#meta.root), undefined, false);
    if (this.#knowsFree) return;
    const { freelist } = this.#meta;
    if (freelist !== undefined) for (let i = 0; i <= this.#freelistPage(freelist).overflow; i++) used[freelist + i] = 1;
    for (let id = 2; id < used.length; id++) if (used[id] === 0) this.#free.add(id, 1);
    this.#knowsFree = true;
  }

  /** What is below a branch; leaves that lie side by side are read at once and pass the cache by. */
  async *#children(branch: Page): AsyncGenerator<Page> {
    const { pageSize, pages } = this.#meta;
    const most = READ_BYTES / pageSize;
    let window: Uint8Array = new Uint8Array(0);
    let windowFirst = 0;
    for (let i = 0; i < branch.count; i++) {
      const id = branch.child(i);
      if (id < 2 || id >= pages) throw new DamagedFile(`page ${id}: out of bounds, the file has ${pages}`);
      let at = (id - windowFirst) * pageSize;
      if (at < 0 || at + pageSize > window.length) {
        // How far do the next ones go without a gap worth reading around?
        let last = id;
        for (let k = i + 1; k < branch.count; k++) {
          const next = branch.child(k);
          if (next <= last || next > last + 4 || next - id >= most) break;
          last = next;
        }
        window = await this.#file.read(id * pageSize, (last - id + 1) * pageSize);
        windowFirst = id;
        at = 0;
      }
      const page = new Page(window.subarray(at, at + pageSize));
      this.#verify(page, id);
      yield page.overflow > 0 || page.isBranch ? this.#readFrom(id) : page;
    }
  }

  #freelistPage(id: number): Page {
    const { pageSize, pages } = this.#meta;
    if (id < 2 || id >= pages) throw new DamagedFile(`page ${id}: out of bounds, the file has ${pages}`);
    const { overflow } = new Page(this.#file.readSync(id * pageSize, pageSize));
    return new Page(this.#file.readSync(id * pageSize, (1 + overflow) * pageSize));
  }

  /** Commits changes to the buckets at the top. The new state is there for readers when it is on disk. */
  async commit(buckets: ReadonlyMap<string, BucketChanges | undefined>, pause: Pause = () => undefined): Promise<void> {
    const named = [...buckets].map(([name, changes]) => [Buffer.from(name, "latin1"), changes] as const);
    named.sort(([a], [b]) => Buffer.compare(a, b));
    await this.#transact((pages, root) => changeRoot(pages, root, { changes: [], buckets: named }), false, pause);
  }

  /**
   * Writes some of what lies scattered or far behind anew, in low places, and gives the file's end back to the system. Begin with undefined
   * and go on with what it gives, until it gives undefined.
   */
  async defragment(at: DefragPosition | undefined, budget: number, pause: Pause): Promise<DefragPosition | undefined> {
    const names = this.bucketNames();
    const bucket = at?.bucket ?? 0;
    const end = at?.end ?? this.#meta.pages - this.#free.count;
    let position: DefragPosition | undefined;
    const moved = at?.moved ?? 0;
    await this.#transact(
      function* (pages, root) {
        const name = names[bucket];
        if (name === undefined) return root;
        const found = find(pages, pages.read(root), name)!;
        const value = found.page.value(found.index);
        const packed = yield* packBucket(pages, value, at?.from ?? new Uint8Array(0), end, budget, FILL_PACKED);
        position = {
          bucket: packed.next === undefined ? bucket + 1 : bucket,
          from: packed.next ?? new Uint8Array(0),
          end,
          moved: moved + packed.moved,
        };
        const isFar = pages.read(root).id >= end;
        if (packed.moved === 0 && !isFar) return root;
        return yield* changeRoot(pages, root, {
          changes: [],
          buckets: [[name, { changes: [], replaced: packed.value }]],
        });
      },
      true,
      pause,
    );
    return position;
  }

  async #transact(
    run: (pages: Pages, root: number) => Generator<void, number>,
    trims: boolean,
    pause: Pause,
  ): Promise<void> {
    assert(!this.#isCommitting, "a transaction is under way");
    assert(this.#knowsFree, "the file was not loaded");
    this.#isCommitting = true;
    const before = this.#meta;
    const txid = before.txid + 1;
    this.#free.settle(Math.min(before.txid, ...this.#pins.keys()));
    const restoreFree = this.#free.checkpoint();
    try {
      const written = new Map<number, Page>();
      let end = before.pages;
      const pages: Pages = {
        pageSize: before.pageSize,
        read: (id) => written.get(id) ?? this.read(id),
        allocate: (count) => {
          const low = this.#free.take(count, end);
          if (low !== undefined) return low;
          end += count;
          return end - count;
        },
        release: ({ id, overflow }) => {
          if (id === 0) return; // Inline.
          if (written.delete(id)) this.#free.add(id, 1 + overflow);
          else this.#free.release(txid, id, 1 + overflow);
        },
        write: (id, bytes) => void written.set(id, new Page(bytes)),
      };
      const work = run(pages, before.root);
      let root: number;
      for (let slice = 1; ; slice++) {
        const step = work.next();
        if (step.done === true) {
          root = step.value;
          break;
        }
        if (slice % PAGES_A_SLICE === 0) await pause();
      }
      let freelist: number | undefined;
      if (before.freelist !== undefined) this.#releaseFreelist(before.freelist, txid);
      if (this.#storesFreelist) freelist = this.#writeFreelist(pages, () => end);
      // The end may be beyond pages that were taken and given back.
      if (trims && this.#pins.size === 0) end = this.#free.trim(end);
      await this.#writePages(written, pause);
      await this.#file.sync();
      const meta: Meta = { ...before, root, freelist, pages: end, txid };
      this.#isIntact = false;
      await this.#file.write((txid % 2) * before.pageSize, [encodeMeta(meta)]);
      await this.#file.sync();
      this.#isIntact = true;
      // Rows that were written just now are in memory as such, and every way to the next place leads through branches.
      for (const [id, page] of written) {
        if (page.isBranch) this.#cache.set(id, page);
        else this.#cache.delete(id);
      }
      this.#meta = meta;
      if (end < before.pages) await this.#file.truncate(end * before.pageSize);
    } catch (error) {
      if (this.#isIntact && this.#meta === before) {
        restoreFree();
        // The room that it took is somebody else's.
        await this.#file.truncate(before.pages * before.pageSize).catch(() => {});
      }
      throw error;
    } finally {
      this.#isCommitting = false;
    }
  }

  async #writePages(written: ReadonlyMap<number, Page>, pause: Pause): Promise<void> {
    const { pageSize } = this.#meta;
    const ids = [...written.keys()].sort((a, b) => a - b);
    for (let i = 0; i < ids.length;) {
      const first = ids[i]!;
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for (; i < ids.length && ids[i] === first + bytes / pageSize && bytes < WRITE_BYTES; i++) {
        const page = written.get(ids[i]!)!;
        chunks.push(page.bytes);
        bytes += page.bytes.length;
      }
      await this.#file.write(first * pageSize, chunks);
      await pause();
    }
  }

  #releaseFreelist(id: number, txid: number): void {
    this.#free.release(txid, id, 1 + this.#freelistPage(id).overflow);
  }

  #writeFreelist(pages: Pages, end: () => number): number {
    const count = Math.ceil(freelistBytes(this.#free.count) / pages.pageSize);
    const id = pages.allocate(count);
    const bytes = new Uint8Array(count * pages.pageSize);
    encodeFreelist(bytes, id, count - 1, this.#free.list(end()));
    pages.write(id, bytes);
    return id;
  }

  /** Accounts for every page: what `bbolt check` would find. Empty means sound. */
  async check(pause: Pause = () => undefined): Promise<string[]> {
    const problems: string[] = [];
    const meta = this.#meta;
    const reached = new Set<number>([0, 1]);
    let walked = 0;
    const reach = (page: Page): boolean => {
      let isNew = true;
      for (let id = page.id; id <= page.id + page.overflow; id++) {
        if (reached.has(id)) {
          problems.push(`page ${id}: multiple references`);
          isNew = false;
        }
        reached.add(id);
      }
      return isNew;
    };
    const walk = async (page: Page, low: Uint8Array | undefined, high: Uint8Array | undefined): Promise<void> => {
      if (page.id !== 0 && !reach(page)) return;
      if (++walked % PAGES_A_SLICE === 0) await pause();
      let previous = low;
      for (let i = 0; i < page.count; i++) {
        const key = page.key(i);
        const hex = () => Buffer.from(key).toString("hex");
        // A branch's first key may be above what its leaf holds; a key equal to its parent's is its first.
        if (previous !== undefined) {
          const order = Buffer.compare(previous, key);
          if (order > 0 || (order === 0 && i > 0)) problems.push(`page ${page.id}: key ${hex()} is out of order`);
        }
        if (high !== undefined && Buffer.compare(key, high) >= 0)
          problems.push(`page ${page.id}: key ${hex()} is not below what its parent says`);
        previous = key;
      }
      for (let i = 0; i < page.count; i++) {
        try {
          if (page.isBranch)
            await walk(this.read(page.child(i)), page.key(i), i + 1 < page.count ? page.key(i + 1) : high);
          else if ((page.elementFlags(i) & ELEMENT_BUCKET) !== 0)
            await walk(rootPage(this, page.value(i))!, undefined, undefined);
          else page.value(i);
        } catch (error) {
          if (!(error instanceof DamagedFile)) throw error;
          problems.push(error.message);
        }
      }
    };
    await walk(this.read(meta.root), undefined, undefined);
    if (meta.freelist === undefined) return problems;
    const page = this.#freelistPage(meta.freelist);
    reach(page);
    const free = new Set<number>();
    for (const id of decodeFreelist(page)) {
      if (free.has(id)) problems.push(`page ${id}: already freed`);
      if (reached.has(id)) problems.push(`page ${id}: reachable freed`);
      free.add(id);
    }
    for (let id = 2; id < meta.pages; id++)
      if (!reached.has(id) && !free.has(id)) problems.push(`page ${id}: unreachable unfreed`);
    return problems;
  }
}

/** Where a defragmentation stands. */
export interface DefragPosition {
  readonly bucket: number;
  readonly from: Uint8Array;
  /** Pages from here on are to be moved. */
  readonly end: number;
  readonly moved: number;
}

/** As bbolt begins: two meta pages, an empty list of free pages, an empty leaf. */
async function initialise(file: File, pageSize: number): Promise<void> {
  const meta: Meta = { pageSize, root: 3, sequence: 0, freelist: 2, pages: 4, txid: 0 };
  const freelist = new Uint8Array(pageSize);
  encodeFreelist(freelist, 2, 0, []);
  const leaf = new Uint8Array(pageSize);
  putHeader(leaf, { id: 3, flags: FLAG_LEAF, count: 0, overflow: 0 });
  await file.write(0, [encodeMetaAt(0, meta), encodeMetaAt(1, { ...meta, txid: 1 }), freelist, leaf]);
  await file.sync();
}

/** The meta page of the later transaction, of those that are whole. */
async function readMeta(file: File): Promise<Meta> {
  const first = decodeMeta(await file.read(0, 4096));
  const candidates: Meta[] = [];
  if (typeof first !== "string") candidates.push(first);
  // Where the first is damaged, the page size that tells where the second is is not known.
  const sizes = typeof first === "string" ? [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] : [first.pageSize];
  for (const pageSize of sizes) {
    const second = decodeMeta(await file.read(pageSize, 128));
    if (typeof second !== "string" && second.pageSize === pageSize) candidates.push(second);
  }
  const meta = candidates.reduce<Meta | undefined>(
    (best, one) => (best === undefined || one.txid > best.txid ? one : best),
    undefined,
  );
  if (meta === undefined) throw new DamagedFile(String(first));
  return meta;
}
