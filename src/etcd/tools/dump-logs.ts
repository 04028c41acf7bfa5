/**
 * A member's log as text: its newest snapshot, its metadata, and a line for each entry with term, index, type and request. It only reads, so it can
 * be used on the files of a running member, and on those that upstream's etcd wrote.
 * Upstream: tools/etcd-dump-logs/main.go
 */
import { InternalRaftRequest, Metadata, RaftpbSnapshot, Snappbsnapshot } from "../../protocols/etcd/generated.ts";
import { decodeConfChange } from "../../raft/conf-change.ts";
import { quote } from "../../raft/describe.ts";
import type { ConfState, Entry } from "../../raft/types.ts";
import { compactText } from "../../wire/rpc/compact-text.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import type { Fs } from "../../world/fs.ts";
import { hexId } from "../cluster/identity.ts";
import { confStateJson } from "../snap/conf-state.ts";
import { crc32c } from "../wal/crc32c.ts";
import type { SnapshotMark } from "../wal/reader.ts";
import { readFields } from "../wal/record.ts";
import { Wal } from "../wal/wal.ts";

export interface DumpOptions {
  readonly dataDir: string;
  /** Where the log is, if not in the data folder. */
  readonly walDir: string;
  /** Begin behind this entry and not at a snapshot. */
  readonly startIndex: number | undefined;
  /** Begin at this snapshot (the name of its file) and not at the newest. */
  readonly startSnap: string;
  /** Names from `ENTRY_TYPES`, with commas between. */
  readonly entryType: string;
  /** Takes an entry's data in hexadecimal, and gives a line of words about it. */
  readonly decoder?: (hex: string) => Promise<string>;
}

/** What an entry is: a request of today, one of the v2 API's days, neither, or a change of members. */
type Decoded =
  | { readonly kind: "internal"; readonly request: InternalRaftRequest }
  | { readonly kind: "request"; readonly fields: ReadonlyMap<number, bigint | Uint8Array> }
  | { readonly kind: "unknown" }
  | { readonly kind: "conf" };

type Filter = (entry: Decoded) => boolean;

const holds =
  (field: keyof InternalRaftRequest): Filter =>
  (entry) =>
    entry.kind === "internal" && entry.request[field] !== undefined;

/** The names that `--entry-type` takes. */
export const ENTRY_TYPES: Readonly<Record<string, Filter>> = {
  ConfigChange: ({ kind }) => kind === "conf",
  Normal: ({ kind }) => kind !== "conf",
  Request: ({ kind }) => kind === "request",
  InternalRaftRequest: ({ kind }) => kind === "internal",
  IRRRange: holds("range"),
  IRRPut: holds("put"),
  IRRDeleteRange: holds("delete_range"),
  IRRTxn: holds("txn"),
  IRRCompaction: holds("compaction"),
  IRRLeaseGrant: holds("lease_grant"),
  IRRLeaseRevoke: holds("lease_revoke"),
  IRRLeaseCheckpoint: holds("lease_checkpoint"),
};

/** Gives the text piece by piece: a log may be long. */
export async function* dumpLogs(fs: Fs, codec: Codec, options: DumpOptions): AsyncGenerator<string> {
  let start: SnapshotMark | number;
  if (options.startIndex !== undefined) {
    start = options.startIndex;
    yield `Start dumping log entries from index ${start}.\n`;
  } else {
    const snapshot = await loadSnapshot(fs, codec, `${options.dataDir}/member/snap`, options.startSnap);
    start = { index: snapshot?.index ?? 0, term: snapshot?.term ?? 0 };
    if (snapshot === undefined) {
      yield "Snapshot:\nempty\n";
    } else {
      const nodes = snapshot.confState.voters.map(hexId).join(" ");
      yield `Snapshot:\nterm=${snapshot.term} index=${snapshot.index} nodes=[${nodes}] confstate=${confStateJson(snapshot.confState)}\n`;
    }
    yield "Start dumping log entries from snapshot.\n";
  }
  const folder = options.walDir === "" ? `${options.dataDir}/member/wal` : options.walDir;
  const { metadata, state, entries } = await Wal.read({ fs, folder }, start);
  const { NodeID = 0n, ClusterID = 0n } = codec.decode(Metadata, metadata!);
  const { term, vote, commit } = state ?? { term: 0, vote: 0n, commit: 0 };
  yield `WAL metadata:\nnodeID=${hexId(NodeID)} clusterID=${hexId(ClusterID)} term=${term} commitIndex=${commit} vote=${hexId(vote)}\n`;
  yield `WAL entries: ${entries.length}\n`;
  if (entries.length > 0) yield `lastIndex=${entries.at(-1)!.index}\n`;
  const { decoder } = options;
  yield `term\t     index\ttype\tdata${decoder === undefined ? "" : "\tdecoder_status\tdecoded_data"}\n`;

  const filters = options.entryType.split(",").flatMap((name) => ENTRY_TYPES[name] ?? []);
  let count = 0;
  for (const entry of entries) {
    const decoded = decode(codec, entry);
    if (!filters.some((filter) => filter(decoded))) continue;
    count++;
    const line = `${String(entry.term).padStart(4)}\t${String(entry.index).padStart(10)}\t${describe(codec, entry, decoded)}`;
    if (decoder === undefined) yield `${line}\n`;
    else yield `${line}\t${decoderColumns(await decoder(Buffer.from(entry.data).toString("hex")))}\n`;
  }
  yield `\nEntry types (${options.entryType}) count is : ${count}\n`;
}

/** Status and data of what a decoder has said, which should have one bar between them. */
function decoderColumns(said: string): string {
  const [status, ...data] = said.split("|");
  if (data.length === 0) return `decoder output format is not right, print output anyway\t${said}`;
  if (data.length === 1) return `${status}\t${data[0]}`;
  return `${status}(*WARNING: data might contain deliminator used by etcd-dump-logs)\t${data.join("")}`;
}

function decode(codec: Codec, { type, data }: Entry): Decoded {
  if (type !== 0) return { kind: "conf" };
  try {
    return { kind: "internal", request: codec.decode(InternalRaftRequest, data) };
  } catch {
    // The API of old wrote requests of another form, which can't be read as these.
  }
  try {
    return { kind: "request", fields: readFields(data) };
  } catch {
    return { kind: "unknown" };
  }
}

function describe(codec: Codec, entry: Entry, decoded: Decoded): string {
  switch (decoded.kind) {
    case "conf":
      return `conf\t${describeConfChange(entry)}`;
    case "internal":
      return `norm\t${compactText(codec.registry, InternalRaftRequest, withoutPassword(decoded.request))}`;
    case "request":
      return `norm\t${describeRequest(decoded.fields)}`;
    case "unknown":
      return "norm\t???";
  }
}

function withoutPassword(request: InternalRaftRequest): InternalRaftRequest {
  const change = request.auth_user_change_password;
  if (change === undefined || change.password === "") return request;
  return { ...request, auth_user_change_password: { ...change, password: "<value removed>" } };
}

function describeConfChange({ type, data }: Entry): string {
  try {
    const { changes } = decodeConfChange(type, data);
    return changes.map((change) => `method=${change.type} id=${hexId(change.nodeId)}`).join(" ");
  } catch {
    return "???";
  }
}

/** A request of the v2 API's days: method, path, value and time are what matters of it. */
function describeRequest(fields: ReadonlyMap<number, bigint | Uint8Array>): string {
  const bytes = (field: number) => {
    const value = fields.get(field);
    return value instanceof Uint8Array ? value : new Uint8Array(0);
  };
  const method = new TextDecoder().decode(bytes(2));
  const path = `path=${excerpt(bytes(3), 64, 64)}`;
  switch (method) {
    case "":
      return "noop";
    case "SYNC":
      return `method=SYNC time="${goTime(BigInt.asIntN(64, BigInt((fields.get(15) as bigint | undefined) ?? 0n)))}"`;
    case "QGET":
    case "DELETE":
      return `method=${method} ${path}`;
    default:
      return `method=${method} ${path} val=${excerpt(bytes(4), 128, 0)}`;
  }
}

/** The beginning and the end of what is long. */
function excerpt(text: Uint8Array, before: number, behind: number): string {
  if (before + behind > text.length) return quote(text);
  return `${quote(text.subarray(0, before))}...${quote(text.subarray(text.length - behind))}`;
}

/** Nanoseconds since 1970, as Go shows a time. */
function goTime(nanoseconds: bigint): string {
  const second = 1_000_000_000n;
  const within = ((nanoseconds % second) + second) % second;
  const date = new Date(Number((nanoseconds - within) / 1_000_000n)).toISOString();
  const fraction = within === 0n ? "" : `.${String(within).padStart(9, "0").replace(/0+$/, "")}`;
  return `${date.slice(0, 10)} ${date.slice(11, 19)}${fraction} +0000 UTC`;
}

interface LoadedSnapshot extends SnapshotMark {
  readonly confState: ConfState;
}

/** The newest snapshot that is whole, or the one that is named, which must be. */
async function loadSnapshot(fs: Fs, codec: Codec, folder: string, wanted: string): Promise<LoadedSnapshot | undefined> {
  if (wanted !== "") return readSnapshot(codec, await fs.readFile(`${folder}/${wanted}`), wanted);
  if ((await fs.stat(folder)) === undefined) return undefined;
  const names = (await fs.list(folder)).filter((name) => name.endsWith(".snap"));
  for (const name of names.toReversed()) {
    try {
      return readSnapshot(codec, await fs.readFile(`${folder}/${name}`), name);
    } catch {
      // Cut off by a crash: the one before it is whole, or the log begins at the beginning.
    }
  }
  return undefined;
}

function readSnapshot(codec: Codec, bytes: Uint8Array, name: string): LoadedSnapshot {
  const frame = codec.decode(Snappbsnapshot, bytes);
  const data = frame.data ?? new Uint8Array(0);
  if (data.length === 0) throw new Error(`snap: empty snapshot in ${name}`);
  if (crc32c(data) !== frame.crc) throw new Error(`snap: crc mismatch in ${name}`);
  const { metadata } = codec.decode(RaftpbSnapshot, data);
  const state = metadata?.conf_state;
  return {
    index: metadata?.index ?? 0,
    term: metadata?.term ?? 0,
    confState: {
      voters: state?.voters ?? [],
      learners: state?.learners ?? [],
      votersOutgoing: state?.voters_outgoing ?? [],
      learnersNext: state?.learners_next ?? [],
      autoLeave: state?.auto_leave ?? false,
    },
  };
}
