/**
 * Snapshot files: `member/snap/<term>-<index>.snap`, upstream's frame (a checksum around raft's snapshot message). They bound the log and its
 * replay: after a restart, the newest one whose mark is in the WAL is loaded and the entries behind it are applied again.
 *
 * What is inside is ours for now: a JSON head and then every row. Once the bbolt file holds the rows, the file's data shrinks to
 * what upstream has there (members alone), and the marks stay as they are.
 *
 * Upstream: server/etcdserver/api/snap/snapshotter.go
 */
import {
  MvccpbKeyValue,
  RaftpbSnapshot,
  Snappbsnapshot,
  type AlarmMember,
  type Member,
} from "../../protocols/etcd/generated.ts";
import type { Fs } from "../../world/fs.ts";
import type { World } from "../../world/world.ts";
import type { Backend, KeyValue } from "../backend/backend.ts";
import { crc32c } from "../wal/crc32c.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { putVarint, varintBytes, varintSize } from "../wal/record.ts";

/** All of the state but for the rows. */
export interface SnapshotHead {
  readonly version: 1;
  readonly revision: number;
  readonly compactRevision: number;
  readonly leases: readonly { readonly id: string; readonly ttl: number }[];
  readonly alarms: readonly { readonly memberID: string; readonly alarm: AlarmMember["alarm"] }[];
  readonly members: readonly (Omit<Member, "ID"> & { readonly ID: string })[];
  readonly clusterVersion: string;
}

export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly voters: readonly bigint[];
}

/** Rows encoded without a pause for others: about a millisecond. */
const ROWS_A_SLICE = 500;
const KEPT_FILES = 5;

/**
 * Writes a snapshot of the state up to `head.revision`, in slices between which the store goes on: rows of the past don't change, and the
 * caller holds compaction off meanwhile. Gives the size of the file.
 */
export async function writeSnapshot(
  deps: Pick<World, "clock" | "fs">,
  folder: string,
  meta: SnapshotMeta,
  head: SnapshotHead,
  backend: Backend,
  codec: Codec,
): Promise<number> {
  const headBytes = Buffer.from(JSON.stringify(head));
  const chunks: Uint8Array[] = [Buffer.from(varintBytes(headBytes.length)), headBytes];
  for (let from = 0; from <= head.revision;) {
    let rows = 0;
    let last = from;
    let done = true;
    backend.scan(from, head.revision, (row, sub) => {
      if (rows >= ROWS_A_SLICE && row.mod_revision !== last) {
        done = false;
        return false;
      }
      const bytes = codec.encode(MvccpbKeyValue, row);
      const prefix = new Uint8Array(varintSize(sub) + varintSize(bytes.length));
      putVarint(prefix, putVarint(prefix, 0, sub), bytes.length);
      chunks.push(prefix, bytes);
      last = row.mod_revision;
      rows++;
      return true;
    });
    if (done) break;
    from = last + 1;
    await new Promise<void>((resolve) => deps.clock.soon(resolve));
  }
  const dataLength = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const metadata = codec.encode(RaftpbSnapshot, {
    metadata: {
      conf_state: { voters: meta.voters, auto_leave: false },
      index: meta.index,
      term: meta.term,
    },
  });
  // The message around the data, by hand, because the data is in pieces: field 1, then field 2 as encoded above.
  const message = [Buffer.from([0x0a, ...varintBytes(dataLength)]), ...chunks, metadata];
  const crc = message.reduce((sum, chunk) => crc32c(chunk, sum), 0);
  const messageLength = message.reduce((sum, chunk) => sum + chunk.length, 0);
  const frame = Buffer.from([0x08, ...varintBytes(crc), 0x12, ...varintBytes(messageLength)]);

  const path = `${folder}/${snapshotName(meta.term, meta.index)}`;
  const temporary = `${path}.tmp`;
  {
    await using file = await deps.fs.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
    await file.write(0, [frame, ...message]);
    await file.sync();
  }
  await deps.fs.rename(temporary, path);
  await deps.fs.syncDir(folder);
  return frame.length + messageLength;
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
    if (!marks.some(({ index, term }) => snapshotName(term, index) === name)) continue;
    const path = `${folder}/${name}`;
    try {
      return parseSnapshot(await fs.readFile(path), codec);
    } catch (error) {
      onBroken(path, error);
      await fs.rename(path, `${path}.broken`);
    }
  }
  return undefined;
}

/** Keeps the newest few. */
export async function purgeSnapshots(fs: Fs, folder: string): Promise<void> {
  for (const name of (await snapshotNames(fs, folder)).slice(0, -KEPT_FILES)) await fs.remove(`${folder}/${name}`);
}

function parseSnapshot(file: Uint8Array, codec: Codec): LoadedSnapshot {
  const { crc, data: message = new Uint8Array(0) } = codec.decode(Snappbsnapshot, file);
  if (message.length === 0) throw new Error("snap: empty snapshot");
  if (crc32c(message) !== crc) throw new Error("snap: crc mismatch");
  const { data = new Uint8Array(0), metadata } = codec.decode(RaftpbSnapshot, message);
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = data[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  };
  const bytes = (): Uint8Array => {
    const length = number();
    at += length;
    return data.subarray(at - length, at);
  };
  const head = JSON.parse(Buffer.from(bytes()).toString()) as SnapshotHead;
  const rows = {
    *[Symbol.iterator]() {
      while (at < data.length) {
        const sub = number();
        const { key, value, ...rest } = codec.decode(MvccpbKeyValue, bytes());
        // Copies: a view would keep the whole file in memory.
        yield { row: { ...rest, key: key.slice(), value: Uint8Array.prototype.slice.call(value) }, sub };
      }
    },
  };
  const meta: SnapshotMeta = {
    index: metadata?.index ?? 0,
    term: metadata?.term ?? 0,
    voters: metadata?.conf_state?.voters ?? [],
  };
  return { head, meta, rows, sizeBytes: file.length };
}

/** Term and index in hexadecimal, so that names in order are snapshots in order. */
function snapshotName(term: number, index: number): string {
  const hex = (value: number) => value.toString(16).padStart(16, "0");
  return `${hex(term)}-${hex(index)}.snap`;
}

async function snapshotNames(fs: Fs, folder: string): Promise<string[]> {
  return (await fs.list(folder)).filter((name) => name.endsWith(".snap"));
}
