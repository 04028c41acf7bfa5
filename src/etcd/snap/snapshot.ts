/**
 * Snapshots bound the log and its replay: after a restart the newest one whose mark is in the WAL is loaded, and the entries behind it are
 * applied again. Two files, in `member/snap`:
 *
 * - `<term>-<index>.snap` in upstream's frame, a checksum around raft's snapshot message. Its data is our state but for the rows, in JSON.
 * - `<term>-<index>.snap.rows`, every row: sub revision, length, KeyValue.
 *
 * Once the bbolt file holds the rows, the second file goes and the first one's data becomes what upstream has there; the marks stay.
 *
 * Upstream: server/etcdserver/api/snap/snapshotter.go
 */
import {
  MvccpbKeyValue,
  RaftpbSnapshot,
  Snappbsnapshot,
  type RaftpbConfState,
} from "../../protocols/etcd/generated.ts";
import type { ConfState } from "../../raft/types.ts";
import type { Fs } from "../../world/fs.ts";
import type { World } from "../../world/world.ts";
import { BUCKETS, type Backend, type BucketName, type KeyValue } from "../backend/backend.ts";
import { crc32c } from "../wal/crc32c.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { putVarint, varintSize } from "../wal/record.ts";

/** Keys and values in base64. */
export type SavedBuckets = Readonly<Partial<Record<BucketName, readonly (readonly [string, string])[]>>>;

export function saveBuckets(backend: Backend): SavedBuckets {
  const saved: Partial<Record<BucketName, [string, string][]>> = {};
  for (const name of BUCKETS)
    backend.bucket(name).forEach((key, value) => {
      (saved[name] ??= []).push([Buffer.from(key, "latin1").toString("base64"), Buffer.from(value).toString("base64")]);
    });
  return saved;
}

export function restoreBuckets(backend: Backend, saved: SavedBuckets): void {
  for (const name of BUCKETS)
    for (const [key, value] of saved[name] ?? [])
      backend.bucket(name).put(Buffer.from(key, "base64").toString("latin1"), Buffer.from(value, "base64"));
}

/** All of the state but for the rows. */
export interface SnapshotHead {
  readonly version: 2;
  readonly revision: number;
  readonly compactRevision: number;
  readonly buckets: SavedBuckets;
}

/** What the `.snap` file's JSON says. */
interface SnapshotData extends SnapshotHead {
  readonly rows: { readonly bytes: number; readonly crc: number };
}

export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** Rows encoded without a pause for others: about a millisecond. */
const ROWS_A_SLICE = 500;
/** Synced as it grows: one large sync at the end would hold up every write to the log meanwhile. */
const SYNC_BYTES = 2 * 1024 * 1024;
/** The log reaches back to the one before the last. */
const KEPT_SNAPSHOTS = 2;

/**
 * Writes a snapshot of the state up to `head.revision`, in slices between which the store goes on: rows of the past don't change, and the
 * caller holds compaction off meanwhile. Gives the size of it.
 */
export async function writeSnapshot(
  deps: Pick<World, "clock" | "fs">,
  folder: string,
  meta: SnapshotMeta,
  head: SnapshotHead,
  backend: Backend,
  codec: Codec,
): Promise<number> {
  const path = `${folder}/${snapshotName(meta)}`;
  const rows = { bytes: 0, crc: 0 };
  {
    await using file = await deps.fs.open(`${path}.rows`, { write: true, create: true, truncate: true, mode: 0o600 });
    let unsynced = 0;
    for (let from = 0; from <= head.revision;) {
      const { bytes, next } = encodeRows(backend, from, head.revision, codec);
      rows.crc = crc32c(bytes, rows.crc);
      await file.write(rows.bytes, [bytes]);
      rows.bytes += bytes.length;
      unsynced += bytes.length;
      if (unsynced >= SYNC_BYTES) {
        unsynced = 0;
        await file.sync();
      }
      if (next === undefined) break;
      from = next;
      await new Promise<void>((resolve) => deps.clock.soon(resolve));
    }
    await file.sync();
  }
  const frame = encodeFrame(meta, { ...head, rows }, codec);
  // Last, and as a whole: a snapshot is there when this file is.
  await deps.fs.syncDir(folder);
  await deps.fs.writeFile(path, frame, { mode: 0o600, atomic: true });
  return frame.length + rows.bytes;
}

function encodeFrame({ index, term, confState }: SnapshotMeta, data: SnapshotData, codec: Codec): Uint8Array {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = confState;
  const message = codec.encode(RaftpbSnapshot, {
    data: Buffer.from(JSON.stringify(data)),
    metadata: {
      conf_state: {
        voters,
        learners,
        voters_outgoing: votersOutgoing,
        learners_next: learnersNext,
        auto_leave: autoLeave,
      },
      index,
      term,
    },
  });
  return codec.encode(Snappbsnapshot, { crc: crc32c(message), data: message });
}

/** Both files in one piece, as they travel to another member: the length of the first in 8 bytes, then one after the other. */
export function encodeSnapshot(meta: SnapshotMeta, head: SnapshotHead, backend: Backend, codec: Codec): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let from: number | undefined = 0; from !== undefined && from <= head.revision;) {
    const { bytes, next }: { bytes: Uint8Array; next?: number } = encodeRows(backend, from, head.revision, codec);
    pieces.push(bytes);
    from = next;
  }
  const rows = Buffer.concat(pieces);
  const frame = encodeFrame(meta, { ...head, rows: { bytes: rows.length, crc: crc32c(rows) } }, codec);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(frame.length));
  return Buffer.concat([length, frame, rows]);
}

/** Puts a snapshot that came from another member beside our own. Gives what it holds. */
export async function saveReceived(fs: Fs, folder: string, bytes: Uint8Array, codec: Codec): Promise<LoadedSnapshot> {
  const length = Number(Buffer.from(bytes.buffer, bytes.byteOffset, 8).readBigUInt64BE());
  const frame = bytes.subarray(8, 8 + length);
  const rows = bytes.subarray(8 + length);
  const loaded = parseSnapshot(frame, rows, codec);
  const path = `${folder}/${snapshotName(loaded.meta)}`;
  await fs.writeFile(`${path}.rows`, rows, { mode: 0o600, atomic: true });
  await fs.syncDir(folder);
  await fs.writeFile(path, frame, { mode: 0o600, atomic: true });
  return loaded;
}

/** Some rows from revision `from` on, and where to go on; undefined at the end. */
function encodeRows(backend: Backend, from: number, to: number, codec: Codec): { bytes: Uint8Array; next?: number } {
  const chunks: Uint8Array[] = [];
  let last = from;
  let isMore = false;
  backend.scan(from, to, (row, sub) => {
    if (chunks.length >= 2 * ROWS_A_SLICE && row.mod_revision !== last) {
      isMore = true;
      return false;
    }
    const bytes = codec.encodeTransient(MvccpbKeyValue, row);
    const prefix = new Uint8Array(varintSize(sub) + varintSize(bytes.length));
    putVarint(prefix, putVarint(prefix, 0, sub), bytes.length);
    chunks.push(prefix, bytes);
    last = row.mod_revision;
    return true;
  });
  const bytes = Buffer.concat(chunks);
  return isMore ? { bytes, next: last + 1 } : { bytes };
}

export interface LoadedSnapshot {
  readonly head: SnapshotHead;
  readonly meta: SnapshotMeta;
  /** Rows in order of revision. */
  readonly rows: Iterable<{ readonly row: KeyValue; readonly sub: number }>;
  readonly sizeBytes: number;
}

/** The newest snapshot that is whole and whose mark the WAL has. A damaged one is set aside, as upstream does. */
export async function loadSnapshot(
  fs: Fs,
  folder: string,
  marks: readonly { readonly index: number; readonly term: number }[],
  codec: Codec,
  onBroken: (path: string, error: unknown) => void,
): Promise<LoadedSnapshot | undefined> {
  for (const name of (await snapshotNames(fs, folder)).reverse()) {
    if (!marks.some((mark) => snapshotName(mark) === name)) continue;
    const path = `${folder}/${name}`;
    try {
      return parseSnapshot(await fs.readFile(path), await fs.readFile(`${path}.rows`), codec);
    } catch (error) {
      onBroken(path, error);
      await fs.rename(path, `${path}.broken`);
    }
  }
  return undefined;
}

/** Keeps the newest few. */
export async function purgeSnapshots(fs: Fs, folder: string): Promise<void> {
  const names = await snapshotNames(fs, folder);
  const kept = names.slice(-KEPT_SNAPSHOTS);
  for (const name of await fs.list(folder)) {
    const isOurs = /^[0-9a-f]{16}-[0-9a-f]{16}\.snap(\.rows)?$/.test(name);
    if (isOurs && !kept.includes(name.replace(/\.rows$/, ""))) await fs.remove(`${folder}/${name}`);
  }
}

function parseSnapshot(file: Uint8Array, rows: Uint8Array, codec: Codec): LoadedSnapshot {
  const { crc, data: message = new Uint8Array(0) } = codec.decode(Snappbsnapshot, file);
  if (message.length === 0) throw new Error("snap: empty snapshot");
  if (crc32c(message) !== crc) throw new Error("snap: crc mismatch");
  const { data = new Uint8Array(0), metadata } = codec.decode(RaftpbSnapshot, message);
  const head = JSON.parse(Buffer.from(data).toString()) as SnapshotData;
  if (rows.length !== head.rows.bytes || crc32c(rows) !== head.rows.crc)
    throw new Error("snap: the rows' crc mismatch");
  const meta: SnapshotMeta = {
    index: metadata?.index ?? 0,
    term: metadata?.term ?? 0,
    confState: confStateOf(metadata?.conf_state),
  };
  return { head, meta, rows: decodeRows(rows, codec), sizeBytes: file.length + rows.length };
}

function confStateOf(state: RaftpbConfState | undefined): ConfState {
  return {
    voters: state?.voters ?? [],
    learners: state?.learners ?? [],
    votersOutgoing: state?.voters_outgoing ?? [],
    learnersNext: state?.learners_next ?? [],
    autoLeave: state?.auto_leave ?? false,
  };
}

function* decodeRows(data: Uint8Array, codec: Codec): Generator<{ readonly row: KeyValue; readonly sub: number }> {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = data[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const sub = number();
    const length = number();
    at += length;
    const { key, value, ...rest } = codec.decode(MvccpbKeyValue, data.subarray(at - length, at));
    // Copies: a view would keep the whole file in memory.
    yield { row: { ...rest, key: copyOf(key), value: copyOf(value) }, sub };
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes);
}

/** Term and index in hexadecimal, so that names in order are snapshots in order. */
function snapshotName({ term, index }: { readonly term: number; readonly index: number }): string {
  const hex = (value: number) => value.toString(16).padStart(16, "0");
  return `${hex(term)}-${hex(index)}.snap`;
}

async function snapshotNames(fs: Fs, folder: string): Promise<string[]> {
  return (await fs.list(folder)).filter((name) => name.endsWith(".snap"));
}
