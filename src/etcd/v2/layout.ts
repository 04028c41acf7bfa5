/**
 * How the tree of the v2 API lies in the v3 store. Nothing is there before the first v2 write, and everything is below one prefix:
 *
 * ```
 *   _typernetes/v2/index                          the index: each write puts it, so "it is unchanged" means that the tree is
 *   _typernetes/v2/nodes/1/app/port               a leaf or a directory by its path, as JSON
 *   _typernetes/v2/events/00000000000000000017    the event of index 17, the last thousand of them
 *   _typernetes/v2/expiry/0001767225600000/1/app  a reminder: look at this node then
 * ```
 *
 * A reminder may be out of date, because a directory goes in one piece with all that is in it: the node itself tells when it expires.
 */
import { unreachable } from "../../base/assert.ts";
import type { RequestOp } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { Store } from "../mvcc/store.ts";
import { isDir, ROOT, type Event, type Node } from "./node.ts";

const PREFIX = "_typernetes/v2/";
const NODES = `${PREFIX}nodes`;
const EVENTS = `${PREFIX}events/`;
const EXPIRY = `${PREFIX}expiry/`;

/** A new member's own first entries moved upstream's index as far. */
export const FIRST_INDEX = 3;
/** How many events are kept. */
export const HISTORY = 1000;

export const INDEX_KEY: Uint8Array = Buffer.from(`${PREFIX}index`);
export const ALL = { key: Buffer.from(PREFIX), rangeEnd: Buffer.from("_typernetes/v20") } as const;

export interface StoredEvent extends Event {
  /** Made by a refresh: kept, and told to nobody. */
  readonly refresh?: true;
}

const nodeKey = (path: string) => Buffer.from(NODES + path);
const eventKey = (index: number) => Buffer.from(EVENTS + String(index).padStart(20, "0"));
const expiryKey = (expires: number, path: string) =>
  Buffer.from(EXPIRY + String(Math.max(0, expires)).padStart(16, "0") + path);

const encode = (value: unknown) => Buffer.from(JSON.stringify(value));
const decode = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
const put = (key: Uint8Array, value: Uint8Array): Init<RequestOp> => ({ request_put: { key, value } });
const remove = (key: Uint8Array, range_end?: Uint8Array): Init<RequestOp> => ({
  request_delete_range: range_end === undefined ? { key } : { key, range_end },
});

/** One step of a plan. A directory is removed with all that is in it. */
export type Change =
  | { readonly kind: "put"; readonly path: string; readonly node: Node }
  | { readonly kind: "remove"; readonly path: string; readonly node: Node }
  | { readonly kind: "remind" | "forget"; readonly path: string; readonly expires: number };

/** A change of the tree and the event that tells of it; only reminders change without one. */
export interface Planned {
  readonly changes: readonly Change[];
  readonly event?: StoredEvent;
}

/** The v3 operations of plans that follow each other: of each its changes, then its event; the index once, first. */
export function opsOf(plans: readonly Planned[]): readonly Init<RequestOp>[] {
  const ops = plans.flatMap(({ changes, event }) => [
    ...changes.flatMap(changeOps),
    ...(event === undefined ? [] : eventOps(event)),
  ]);
  const last = plans.findLast(({ event }) => event !== undefined)?.event?.node.modifiedIndex;
  return last === undefined ? ops : [put(INDEX_KEY, Buffer.from(String(last))), ...ops];
}

function changeOps(change: Change): readonly Init<RequestOp>[] {
  const { kind, path } = change;
  switch (kind) {
    case "put":
      return [put(nodeKey(path), encode(change.node))];
    case "remove":
      if (!isDir(change.node)) return [remove(nodeKey(path))];
      return [remove(nodeKey(path)), remove(nodeKey(`${path}/`), nodeKey(`${path}0`))];
    case "remind":
      return [put(expiryKey(change.expires, path), new Uint8Array(0))];
    case "forget":
      return [remove(expiryKey(change.expires, path))];
    default:
      return unreachable(kind);
  }
}

/** The event, and the end of the oldest one. */
function eventOps(event: StoredEvent): readonly Init<RequestOp>[] {
  const index = event.node.modifiedIndex!;
  const kept = put(eventKey(index), encode(event));
  return index > HISTORY ? [kept, remove(eventKey(index - HISTORY))] : [kept];
}

/** What a v3 key of this prefix is, for those who watch it. */
export function readKey(key: Uint8Array): { readonly event: true } | { readonly node: string } | undefined {
  const text = Buffer.from(key).toString();
  if (text.startsWith(EVENTS)) return { event: true };
  if (text.startsWith(`${NODES}/`)) return { node: text.slice(NODES.length) };
  return undefined;
}

export const readEvent = (value: Uint8Array) => decode(value) as StoredEvent;

/** The tree now. */
export interface Tree {
  readonly index: number;
  get(path: string): Node | undefined;
  /** Direct children in order of their keys. */
  children(path: string): Iterable<readonly [path: string, node: Node]>;
}

const PIECE = 64;
const BELOW_ROOT = "/1";

export class StoreTree implements Tree {
  readonly index: number;
  /** Of the index, 0 before the first write: who finds it unchanged finds the whole tree unchanged. */
  readonly revision: number;
  readonly #store: Store;

  constructor(store: Store) {
    const kv = store.get(INDEX_KEY);
    this.index = kv === undefined ? FIRST_INDEX : Number(Buffer.from(kv.value).toString());
    this.revision = kv?.mod_revision ?? 0;
    this.#store = store;
  }

  get(path: string): Node | undefined {
    if (path === "/" || path === BELOW_ROOT) return ROOT;
    const kv = this.#store.get(nodeKey(path));
    return kv === undefined ? undefined : (decode(kv.value) as Node);
  }

  *children(path: string): Iterable<readonly [path: string, node: Node]> {
    const base = path === "/" ? "/" : `${path}/`;
    const end = nodeKey(path === "/" ? "0" : `${path}0`);
    let from = nodeKey(base);
    read: for (;;) {
      const { kvs } = this.#store.range(from, end, { limit: PIECE, revision: 0, countOnly: false });
      for (const kv of kvs) {
        const child = Buffer.from(kv.key).toString().slice(NODES.length);
        const slash = child.indexOf("/", base.length);
        if (slash >= 0) {
          from = nodeKey(`${child.slice(0, slash)}0`); // Over what is inside of a child.
          continue read;
        }
        yield [child, decode(kv.value) as Node];
      }
      if (kvs.length < PIECE) return;
      from = Buffer.concat([kvs.at(-1)!.key, Buffer.of(0)]);
    }
  }

  /** Events from `index` on, oldest first. */
  *events(index: number): Iterable<StoredEvent> {
    let from = eventKey(index);
    const end = Buffer.from(`${PREFIX}events0`);
    for (;;) {
      const { kvs } = this.#store.range(from, end, { limit: PIECE, revision: 0, countOnly: false });
      for (const kv of kvs) yield readEvent(kv.value);
      if (kvs.length < PIECE) return;
      from = Buffer.concat([kvs.at(-1)!.key, Buffer.of(0)]);
    }
  }

  /** The earliest reminder. */
  get reminder(): { readonly expires: number; readonly path: string } | undefined {
    const end = Buffer.from(`${PREFIX}expiry0`);
    const { kvs } = this.#store.range(Buffer.from(EXPIRY), end, { limit: 1, revision: 0, countOnly: false });
    if (kvs.length === 0) return undefined;
    const text = Buffer.from(kvs[0]!.key).toString().slice(EXPIRY.length);
    const slash = text.indexOf("/");
    return { expires: Number(text.slice(0, slash)), path: text.slice(slash) };
  }
}
