/**
 * Rewrites a bucket's tree of pages. Pages never change in place: a transaction reads those that it touches, releases them, and writes their
 * replacements elsewhere, up to a new root.
 *
 * All changes of a transaction are merged into the tree at once, in key order, from the root down and back: a leaf merges its items with its
 * changes, and the result is divided into pages again. These are generators, so that a large transaction is done in slices.
 *
 * Upstream: bbolt node.go, bucket.go
 */
import { assert } from "../../../base/assert.ts";
import {
  BUCKET_HEADER_BYTES,
  checkDepth,
  DamagedFile,
  ELEMENT_BUCKET,
  ELEMENT_BYTES,
  FLAG_BRANCH,
  FLAG_LEAF,
  HEADER_BYTES,
  Page,
  putHeader,
  putU32,
  putU64,
  u64,
} from "./format.ts";

/** A key's new value, or none any more. */
export interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** What a transaction does to a bucket. Changes are in the order of their keys, each key once. */
export interface BucketChanges {
  readonly changes: readonly Change[];
  /** How full pages are made: for keys that only grow, almost full. */
  readonly fill?: number;
  /** Buckets inside of it; undefined takes one away. In the order of their names' bytes. */
  readonly buckets?: readonly (readonly [name: Uint8Array, changes: BucketChanges | undefined])[];
  /** The whole bucket's new value, in place of changes. */
  readonly replaced?: Uint8Array;
}

/** Where pages come from and go to. */
export interface Pages {
  readonly pageSize: number;
  read(id: number): Page;
  /** The first of so many pages in a row. */
  allocate(pages: number): number;
  release(page: Page): void;
  write(id: number, bytes: Uint8Array): void;
}

interface Item {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: number;
  /** Of a branch: the page below. */
  readonly page: number;
}

/** What is to become a page or several. */
interface Draft {
  readonly isLeaf: boolean;
  readonly items: Item[];
  /** It lost items: then it may have to go together with its neighbour. */
  readonly shrunk: boolean;
}

const EMPTY = new Uint8Array(0);
/** They cost as much as a page. */
const CHECKS_A_STEP = 128;
const FILL_DEFAULT = 0.5;

export function bucketValue(root: number, sequence: number): Uint8Array {
  const value = new Uint8Array(BUCKET_HEADER_BYTES);
  putU64(value, 0, root);
  putU64(value, 8, sequence);
  return value;
}

/** Gives the bucket's new value: its root, or the whole of it where it is small. */
export function* changeBucket(
  pages: Pages,
  value: Uint8Array | undefined,
  changes: BucketChanges,
): Generator<void, Uint8Array> {
  const fill = changes.fill ?? FILL_DEFAULT;
  const root = rootPage(pages, value);
  let all = changes.changes;
  for (let i = 1; i < all.length; i++) {
    assert(Buffer.compare(all[i - 1]!.key, all[i]!.key) < 0, "changes are out of order");
    if (i % CHECKS_A_STEP === 0) yield;
  }
  if (changes.buckets !== undefined && changes.buckets.length > 0) {
    const nested: (Change & { readonly isBucket: true })[] = [];
    for (const [name, inner] of changes.buckets) {
      const at = find(pages, root, name);
      const before = at === undefined ? undefined : at.page.value(at.index);
      if (inner === undefined && before !== undefined) yield* releaseBucket(pages, before);
      const after = inner === undefined ? undefined : yield* changeBucket(pages, before, inner);
      nested.push({ key: name, value: after, isBucket: true });
    }
    all = [...all, ...nested].sort((a, b) => Buffer.compare(a.key, b.key));
  }
  const draft = root === undefined ? draftOf(all) : yield* redraft(pages, root, all, 0, all.length, fill);
  const sequence = value === undefined ? 0 : u64(value, 8);
  if (draft.isLeaf && sizeOf(draft.items) <= pages.pageSize / 4 && !draft.items.some(({ flags }) => flags !== 0)) {
    const inline = new Uint8Array(BUCKET_HEADER_BYTES + sizeOf(draft.items));
    putU64(inline, 8, sequence);
    layOut(inline.subarray(BUCKET_HEADER_BYTES), 0, 0, draft);
    return inline;
  }
  return bucketValue(yield* writeRoot(pages, draft, fill), sequence);
}

/** As `changeBucket`, of the bucket that holds all others. It has pages of its own however small it is. */
export function* changeRoot(pages: Pages, root: number, changes: BucketChanges): Generator<void, number> {
  const named: Change[] = [];
  const page = pages.read(root);
  for (const [name, inner] of changes.buckets ?? []) {
    const at = find(pages, page, name);
    const before = at === undefined ? undefined : at.page.value(at.index);
    if (inner === undefined && before !== undefined) yield* releaseBucket(pages, before);
    const after = inner === undefined ? undefined : (inner.replaced ?? (yield* changeBucket(pages, before, inner)));
    named.push({ key: name, value: after, isBucket: true } as Change);
  }
  const draft = yield* redraft(pages, page, named, 0, named.length, FILL_DEFAULT);
  return yield* writeRoot(pages, draft, FILL_DEFAULT);
}

/** The page that a bucket's value leads to. */
export function rootPage(pages: Pick<Pages, "read">, value: Uint8Array | undefined): Page | undefined {
  if (value === undefined) return undefined;
  if (value.length < BUCKET_HEADER_BYTES) throw new DamagedFile("a bucket's value is cut off");
  const root = u64(value, 0);
  return root === 0 ? new Page(value.subarray(BUCKET_HEADER_BYTES)) : pages.read(root);
}

/** Where a key is. */
export function find(
  pages: Pick<Pages, "read">,
  root: Page | undefined,
  key: Uint8Array,
): { readonly page: Page; readonly index: number } | undefined {
  if (root === undefined) return undefined;
  let page = root;
  for (let depth = 0; page.isBranch; depth++) {
    checkDepth(page, depth);
    page = pages.read(page.child(page.childIndex(key)));
  }
  const index = page.lowerBound(key);
  return index < page.count && page.compareKey(index, key) === 0 ? { page, index } : undefined;
}

function draftOf(changes: readonly Change[]): Draft {
  const items: Item[] = [];
  for (const change of changes) if (change.value !== undefined) items.push(itemOf(change, change.value));
  return { isLeaf: true, items, shrunk: false };
}

function itemOf(change: Change, value: Uint8Array): Item {
  const flags = (change as { isBucket?: true }).isBucket === true ? ELEMENT_BUCKET : 0;
  return { key: change.key, value, flags, page: 0 };
}

/** Lets go of a page and gives its items as they are to be, with the changes from `from` to `to` in them. */
function* redraft(
  pages: Pages,
  page: Page,
  changes: readonly Change[],
  from: number,
  to: number,
  fill: number,
): Generator<void, Draft> {
  pages.release(page);
  if (page.isLeaf) {
    yield;
    return mergeLeaf(page, changes, from, to);
  }
  const children: (Item | Draft)[] = [];
  for (let i = 0, at = from; i < page.count; i++) {
    let end = to;
    if (i + 1 < page.count) for (end = at; end < to && page.compareKey(i + 1, changes[end]!.key) > 0;) end++;
    children.push(
      end === at
        ? { key: page.key(i), value: EMPTY, flags: 0, page: page.child(i) }
        : yield* redraft(pages, pages.read(page.child(i)), changes, at, end, fill),
    );
    at = end;
  }
  const items = yield* settle(pages, children, fill);
  return { isLeaf: false, items, shrunk: items.length < page.count };
}

function mergeLeaf(page: Page, changes: readonly Change[], from: number, to: number): Draft {
  const items: Item[] = [];
  let shrunk = false;
  let i = 0;
  for (let at = from; at < to; at++) {
    const change = changes[at]!;
    const end = page.lowerBound(change.key);
    while (i < end) items.push(leafItem(page, i++));
    if (i < page.count && page.compareKey(i, change.key) === 0) i++;
    if (change.value !== undefined) items.push(itemOf(change, change.value));
    else shrunk = true;
  }
  while (i < page.count) items.push(leafItem(page, i++));
  return { isLeaf: true, items, shrunk };
}

function leafItem(page: Page, i: number): Item {
  return { key: page.key(i), value: page.value(i), flags: page.elementFlags(i), page: 0 };
}

/** Takes a page as it is into a draft. */
function load(pages: Pages, id: number): Draft {
  const page = pages.read(id);
  pages.release(page);
  const items: Item[] = [];
  for (let i = 0; i < page.count; i++)
    items.push(page.isLeaf ? leafItem(page, i) : { key: page.key(i), value: EMPTY, flags: 0, page: page.child(i) });
  return { isLeaf: page.isLeaf, items, shrunk: false };
}

/** Writes the drafts among a branch's children, those that shrank too much together with a neighbour, and gives the branch's items. */
function* settle(pages: Pages, children: (Item | Draft)[], fill: number): Generator<void, Item[]> {
  const kept: (Item | Draft)[] = [];
  for (let i = 0; i < children.length; i++) {
    const child = children[i]!;
    if (isDraft(child)) {
      if (child.items.length === 0) continue;
      if (child.shrunk && sizeOf(child.items) < pages.pageSize / 4) {
        const before = kept.at(-1);
        const next = children[i + 1];
        if (before !== undefined) {
          const { isLeaf, items } = isDraft(before) ? before : load(pages, before.page);
          kept[kept.length - 1] = { isLeaf, items: [...items, ...child.items], shrunk: true };
          continue;
        }
        if (next !== undefined) {
          const { isLeaf, items } = isDraft(next) ? next : load(pages, next.page);
          children[i + 1] = { isLeaf, items: [...child.items, ...items], shrunk: true };
          continue;
        }
      }
    }
    kept.push(child);
  }
  const items: Item[] = [];
  for (const child of kept) {
    if (isDraft(child)) for (const item of yield* writePages(pages, child, fill)) items.push(item);
    else items.push(child);
  }
  return items;
}

function isDraft(child: Item | Draft): child is Draft {
  return "items" in child;
}

function* writeRoot(pages: Pages, draft: Draft, fill: number): Generator<void, number> {
  let level = draft;
  for (;;) {
    if (level.items.length === 0) level = { isLeaf: true, items: [], shrunk: false };
    else if (!level.isLeaf && level.items.length === 1) {
      // A branch to one page only: that page is the root then.
      let page = pages.read(level.items[0]!.page);
      while (page.isBranch && page.count === 1) {
        pages.release(page);
        page = pages.read(page.child(0));
      }
      return page.id;
    }
    const items = yield* writePages(pages, level, fill);
    if (items.length === 1) return items[0]!.page;
    level = { isLeaf: false, items, shrunk: false };
  }
}

/** Cuts a draft into pages; gives what leads to them. */
function* writePages(pages: Pages, draft: Draft, fill: number): Generator<void, Item[]> {
  const { pageSize } = pages;
  const { items, isLeaf } = draft;
  const written: Item[] = [];
  const most = sizeOf(items) <= pageSize ? pageSize : Math.floor(pageSize * fill);
  const least = isLeaf ? 1 : 2;
  let from = 0;
  let size = HEADER_BYTES;
  const cut = (to: number) => {
    const part = items.slice(from, to);
    const count = Math.max(1, Math.ceil(size / pageSize));
    const id = pages.allocate(count);
    const bytes = new Uint8Array(count * pageSize);
    layOut(bytes, id, count - 1, { isLeaf, items: part, shrunk: false });
    pages.write(id, bytes);
    written.push({ key: part[0]?.key ?? EMPTY, value: EMPTY, flags: 0, page: id });
    from = to;
    size = HEADER_BYTES;
  };
  for (let i = 0; i < items.length; i++) {
    const bytes = ELEMENT_BYTES + items[i]!.key.length + items[i]!.value.length;
    if (i - from >= least && items.length - i >= least && size + bytes > most) {
      cut(i);
      yield;
    }
    size += bytes;
  }
  cut(items.length);
  return written;
}

function layOut(bytes: Uint8Array, id: number, overflow: number, { isLeaf, items }: Draft): void {
  assert(items.length < 0xffff, "a page has room for fewer items");
  putHeader(bytes, { id, flags: isLeaf ? FLAG_LEAF : FLAG_BRANCH, count: items.length, overflow });
  let at = HEADER_BYTES + ELEMENT_BYTES * items.length;
  for (let i = 0; i < items.length; i++) {
    const { key, value, flags, page } = items[i]!;
    const element = HEADER_BYTES + ELEMENT_BYTES * i;
    if (isLeaf) {
      if (flags !== 0) putU32(bytes, element, flags);
      putU32(bytes, element + 4, at - element);
      putU32(bytes, element + 8, key.length);
      putU32(bytes, element + 12, value.length);
    } else {
      putU32(bytes, element, at - element);
      putU32(bytes, element + 4, key.length);
      putU64(bytes, element + 8, page);
    }
    bytes.set(key, at);
    at += key.length;
    if (value.length > 0) bytes.set(value, at);
    at += value.length;
  }
}

function sizeOf(items: readonly Item[]): number {
  let size = HEADER_BYTES;
  for (let i = 0; i < items.length; i++) size += ELEMENT_BYTES + items[i]!.key.length + items[i]!.value.length;
  return size;
}

function* releaseBucket(pages: Pages, value: Uint8Array): Generator<void> {
  const root = rootPage(pages, value)!;
  const below = [root];
  for (let page = below.pop(); page !== undefined; page = below.pop()) {
    yield;
    if (page.id !== 0) pages.release(page);
    for (let i = 0; i < page.count; i++) {
      if (page.isBranch) below.push(pages.read(page.child(i)));
      else if ((page.elementFlags(i) & ELEMENT_BUCKET) !== 0) yield* releaseBucket(pages, page.value(i));
    }
  }
}

/** Where a walk that packs a tree stands: undefined at its end. */
export interface Packed {
  readonly value: Uint8Array;
  readonly next: Uint8Array | undefined;
  /** Pages written anew. */
  readonly moved: number;
}

/**
 * Rewrites leaves from key `from` on, where they are half empty or lie beyond page `end`, close together and into low places, until about
 * `budget` of them are done.
 */
export function* packBucket(
  pages: Pages,
  value: Uint8Array,
  from: Uint8Array,
  end: number,
  budget: number,
  fill: number,
): Generator<void, Packed> {
  if (u64(value, 0) === 0) return { value, next: undefined, moved: 0 };
  const state: Packing = { pages, end, budget, fill, moved: 0, next: undefined };
  const root = rootPage(pages, value)!;
  const result = root.isLeaf
    ? root.id >= end
      ? load(pages, root.id)
      : undefined
    : yield* packBranch(state, root, from);
  if (result === undefined) return { value, next: state.next, moved: 0 };
  const changed = Uint8Array.from(value);
  putU64(changed, 0, yield* writeRoot(pages, result, fill));
  return { value: changed, next: state.next, moved: state.moved + 1 };
}

interface Packing {
  readonly pages: Pages;
  readonly end: number;
  budget: number;
  readonly fill: number;
  moved: number;
  next: Uint8Array | undefined;
}

function* packBranch(state: Packing, page: Page, from: Uint8Array): Generator<void, Draft | undefined> {
  const { pages, end, fill } = state;
  const children: (Item | Draft)[] = [];
  let changed = page.id >= end;
  const first = page.childIndex(from);
  let i = 0;
  const keep = () => children.push({ key: page.key(i), value: EMPTY, flags: 0, page: page.child(i) });
  for (; i < first; i++) keep();
  // Leaves side by side are taken together: so much of them as makes a few pages.
  let group: Draft | undefined;
  let groupPages = 0;
  let groupBytes = 0;
  let groupFar = false;
  let groupFirst = 0;
  const close = () => {
    if (group === undefined) return;
    const needed = Math.ceil(groupBytes / (pages.pageSize * fill));
    if (groupFar || needed < groupPages * 0.8) {
      for (let k = groupFirst; k < i; k++) pages.release(pages.read(page.child(k)));
      children.push(group);
      state.moved += groupPages;
      changed = true;
    } else
      for (let k = groupFirst; k < i; k++)
        children.push({ key: page.key(k), value: EMPTY, flags: 0, page: page.child(k) });
    group = undefined;
  };
  for (; i < page.count; i++) {
    if (state.next !== undefined) {
      keep();
      continue;
    }
    if (state.budget <= 0) {
      close();
      state.next = Uint8Array.from(page.key(i));
      keep();
      continue;
    }
    const child = pages.read(page.child(i));
    if (child.isBranch) {
      const draft = yield* packBranch(state, child, i === first ? from : EMPTY);
      if (draft === undefined) keep();
      else {
        children.push(draft);
        changed = true;
      }
      continue;
    }
    yield;
    state.budget -= 1 + child.overflow;
    if (group === undefined) {
      group = { isLeaf: true, items: [], shrunk: false };
      groupPages = groupBytes = 0;
      groupFar = false;
      groupFirst = i;
    }
    for (let k = 0; k < child.count; k++) group.items.push(leafItem(child, k));
    groupPages += 1 + child.overflow;
    for (let k = 0; k < child.count; k++) groupBytes += ELEMENT_BYTES + child.keyLength(k) + child.value(k).length;
    groupFar ||= child.id + child.overflow >= end;
    if (groupPages >= GROUP_PAGES) {
      i++;
      close();
      i--;
    }
  }
  close();
  if (!changed) return undefined;
  pages.release(page);
  state.moved++;
  return { isLeaf: false, items: yield* settle(pages, children, fill), shrunk: false };
}

const GROUP_PAGES = 32;
