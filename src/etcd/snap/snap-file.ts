/**
 * `<term>-<index>.snap`: raft's snapshot message in a frame with a checksum. Its data is what an old etcd wants to know of the cluster; the state is in
 * the db file, committed before this file is written.
 *
 * Upstream: server/etcdserver/api/snap/snapshotter.go
 */
import { RaftpbSnapshot, Snappbsnapshot } from "../../protocols/etcd/generated.ts";
import type { ConfState } from "../../raft/types.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import type { Fs } from "../../world/fs.ts";
import { crc32c } from "../wal/crc32c.ts";

export interface SnapMeta {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** As many as upstream keeps. */
const KEPT = 5;

export async function writeSnapFile(
  fs: Fs,
  folder: string,
  { index, term, confState }: SnapMeta,
  data: Uint8Array,
  codec: Codec,
): Promise<void> {
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = confState;
  const message = codec.encode(RaftpbSnapshot, {
    data,
    metadata: {
      conf_state: {
        voters: [...voters],
        learners: [...learners],
        voters_outgoing: [...votersOutgoing],
        learners_next: [...learnersNext],
        auto_leave: autoLeave,
      },
      index,
      term,
    },
  });
  const frame = codec.encode(Snappbsnapshot, { crc: crc32c(message), data: message });
  await fs.writeFile(`${folder}/${snapName({ index, term })}`, frame, { mode: 0o600, atomic: true });
}

/** Keeps the newest few, and no db file that came from another member and is older than the snapshot at `index`. */
export async function purgeSnapFiles(fs: Fs, folder: string, index: number): Promise<void> {
  const all = await fs.list(folder);
  const names = all.filter((name) => /^[0-9a-f]{16}-[0-9a-f]{16}\.snap$/.test(name));
  const received = all.filter((name) => name < receivedDbName(index) && /^[0-9a-f]{16}\.snap\.db$/.test(name));
  for (const name of [...names.slice(0, -KEPT), ...received]) await fs.remove(`${folder}/${name}`);
}

/** What a process before this one had begun to write when it ended: ours, upstream's, and what an upstream's defragmentation leaves. */
export async function removeDrafts(fs: Fs, folder: string): Promise<void> {
  for (const name of await fs.list(folder))
    if (/^tmp|^db\.tmp|^\..*\.tmp$/.test(name)) await fs.remove(`${folder}/${name}`);
}

/** Term and index in hexadecimal, so that names in order are snapshots in order. */
export function snapName({ term, index }: { readonly term: number; readonly index: number }): string {
  return `${hex(term)}-${hex(index)}.snap`;
}

/** Of a db file on its way to here. */
export function draftName(number: number): string {
  return `tmp${number}`;
}

/** The db file that came from another member, for the entry at `index`. */
export function receivedDbName(index: number): string {
  return `${hex(index)}.snap.db`;
}

function hex(value: number): string {
  return value.toString(16).padStart(16, "0");
}
