/**
 * The write-ahead log, in etcd's own files: what `append` was given is on disk when it returns. One append at a time; the caller puts
 * into it all that queued up meanwhile.
 *
 * Files are opened so that each write is durable by itself (O_DSYNC), and written over zeros that were put there ahead of time: a write
 * that neither grows the file nor moves its blocks costs one trip to the disk. A segment has its 64 MB from the beginning, as upstream's,
 * but the zeros are put there piece by piece, so that a small cluster has a small log.
 *
 * Upstream: server/storage/wal/wal.go, repair.go
 */
import { assert } from "../../base/assert.ts";
import type { Logger } from "../../observe/log.ts";
import type { File, Fs } from "../../world/fs.ts";
import { copySegment, prepareSegment, readSegment } from "./segment-file.ts";
import { readMarks, readWal, SnapshotNotFound, WalDamage, type SnapshotMark, type WalContent } from "./reader.ts";
import type { ConfState, Entry, HardState } from "../../raft/types.ts";
import { NO_FAILPOINTS, type Failpoints } from "../failpoints.ts";
import { FrameWriter, RECORD, varintBytes } from "./record.ts";

/** A segment is closed, and the next begun, by the append that takes it past this. */
const SEGMENT_BYTES = 64_000_000;
/** So far ahead there are zeros. */
const PREPARE_BYTES = 1024 * 1024;
/** They are put there in pieces: records wait for a piece that the disk has begun with. In larger ones where much is missing. */
const PIECE_BYTES = 64 * 1024;
const LARGE_PIECE_BYTES = 512 * 1024;
const aheadIn = (segmentBytes: number) => Math.min(PREPARE_BYTES, segmentBytes);
/** Writes up to this size are done on the calling thread: a trip through the thread pool costs more than they do. */
const SYNCHRONOUS_BYTES = 256 * 1024;
/** … as long as the disk answers most of them within this. On a slower one, other work goes on meanwhile. */
const SYNCHRONOUS_MS = 1;
const WINDOW_WRITES = 16;
/** What a write takes elsewhere says little of the disk where processors are busy too. So one of so many shows what it takes here. */
const PROBE_WRITES = 64;

export interface WalOptions {
  readonly fs: Fs;
  readonly folder: string;
  readonly log: Logger;
  readonly segmentBytes?: number;
  /** Milliseconds for measuring, never going back. */
  readonly monotonic: () => number;
  /** Told how long each durable write took. */
  readonly onWrite?: (ms: number, bytes: number) => void;
  readonly failpoints?: Failpoints;
}

interface Segment {
  readonly name: string;
  readonly sequence: number;
  /** Of the first entry it may hold. */
  readonly firstIndex: number;
}

export class Wal {
  readonly #options: WalOptions;
  readonly #failpoints: Failpoints;
  readonly #metadata: Uint8Array;
  readonly #segmentBytes: number;
  readonly #ahead: number;
  #segments: Segment[];
  #file: File;
  #position: number;
  /** The file has zeros, or our records, up to here. */
  #prepared: number;
  #preparing: Promise<void> | undefined;
  /** The next segment, under a name of its own, begun when this one is half full: then a cut has little to wait for. */
  #next: Promise<string> | undefined;
  readonly #frames: FrameWriter;
  #state: HardState | undefined;
  #lastIndex: number;
  /** Most writes of the last whole window took long. A single one that does tells nothing. */
  #isSlow = false;
  #slowWrites = 0;
  #windowWrites = 0;
  #untilProbe = PROBE_WRITES;
  #writtenBytes = 0;

  private constructor(
    options: WalOptions,
    from: {
      readonly metadata: Uint8Array;
      readonly segments: Segment[];
      readonly file: File;
      readonly position: number;
      readonly prepared: number;
      readonly crc: number;
      readonly state: HardState | undefined;
      readonly lastIndex: number;
    },
  ) {
    this.#options = options;
    this.#failpoints = options.failpoints ?? NO_FAILPOINTS;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#ahead = aheadIn(this.#segmentBytes);
    this.#metadata = from.metadata;
    this.#segments = from.segments;
    this.#file = from.file;
    this.#position = from.position;
    this.#prepared = from.prepared;
    this.#frames = new FrameWriter(from.crc);
    this.#state = from.state;
    this.#lastIndex = from.lastIndex;
  }

  static async exists(fs: Fs, folder: string): Promise<boolean> {
    return (await fs.stat(folder)) !== undefined && (await segmentsIn(fs, folder)).length > 0;
  }

  /** Begins a log: the folder comes to be as a whole, so that a crash leaves none rather than half of one. */
  static async create(options: WalOptions, metadata: Uint8Array): Promise<Wal> {
    const { fs, folder } = options;
    const temporary = `${folder}.tmp`;
    await fs.remove(temporary);
    await fs.remove(folder);
    await fs.mkdir(temporary, { recursive: true, mode: 0o700 });
    const segment: Segment = { name: segmentName(0, 0), sequence: 0, firstIndex: 0 };
    const frames = new FrameWriter(0);
    frames.start(512);
    frames.crcRecord();
    frames.record(RECORD.metadata, metadata);
    frames.record(RECORD.snapshot, snapshotData({ index: 0, term: 0 }));
    const head = frames.take();
    const length = options.segmentBytes ?? SEGMENT_BYTES;
    const zeros = aheadIn(length);
    await prepareSegment(fs, `${temporary}/${segment.name}`, { position: 0, head, zeros, length });
    await fs.syncDir(temporary);
    await fs.rename(temporary, folder);
    await fs.syncDir(parentOf(folder));
    const file = await fs.open(`${folder}/${segment.name}`, { write: true, durable: true });
    return new Wal(options, {
      metadata,
      segments: [segment],
      file,
      position: head.length,
      prepared: zeros,
      crc: frames.crc,
      state: undefined,
      lastIndex: 0,
    });
  }

  /**
   * Every snapshot that the log knows of, oldest first: only those may be started from. One of more than was committed is of no use: what came from another
   * member was noted, and not taken up. The last record of all may be torn: `openBehind` looks.
   */
  static async snapshots({ fs, folder }: Pick<WalOptions, "fs" | "folder">): Promise<readonly SnapshotMark[]> {
    const all: SnapshotMark[] = [];
    let committed = 0;
    for (const { name } of await segmentsIn(fs, folder)) {
      const { marks, commit } = readMarks(await readSegment(fs, `${folder}/${name}`));
      all.push(...marks);
      committed = Math.max(committed, commit);
    }
    return all.filter(({ index }) => index <= committed);
  }

  /**
   * Reads the log behind a snapshot (index 0 is the beginning) without changing anything. The log must know of the snapshot, unless only
   * its index is given.
   */
  static async read(
    { fs, folder }: Pick<WalOptions, "fs" | "folder">,
    after: SnapshotMark | number,
  ): Promise<WalContent> {
    const index = typeof after === "number" ? after : after.index;
    const all = await segmentsIn(fs, folder);
    if (all.length > 0 && all[0]!.firstIndex > index)
      throw new WalDamage(`wal: ${folder}/${all[0]!.name} is the first file: what is behind entry ${index} is missing`);
    const files = [];
    for (const { name } of all.slice(segmentOf(all, index))) {
      const path = `${folder}/${name}`;
      files.push({ name: path, bytes: await readSegment(fs, path) });
    }
    const content = readWal(files, index);
    if (content.metadata === undefined) throw new WalDamage(`wal: no metadata in ${folder}`);
    if (typeof after === "number") return content;
    const marks = content.snapshots.filter((mark) => mark.index === index);
    if (marks.length === 0) throw new SnapshotNotFound(`wal: snapshot not found: index ${index} in ${folder}`);
    if (marks.some(({ term }) => term !== after.term))
      throw new WalDamage(`wal: snapshot mismatch: index ${index} in ${folder} is not of term ${after.term}`);
    return content;
  }

  /** Opens the log behind a snapshot as `read` does, and repairs a torn tail. */
  static async open(
    options: WalOptions,
    after: SnapshotMark | number,
  ): Promise<{ readonly wal: Wal; readonly content: WalContent }> {
    const { fs, folder, log, segmentBytes = SEGMENT_BYTES } = options;
    const content = await Wal.read(options, after);
    for (const name of await fs.list(folder)) if (/^\d+\.tmp$/.test(name)) await fs.remove(`${folder}/${name}`);
    const all = await segmentsIn(fs, folder);
    const path = `${folder}/${all.at(-1)!.name}`;
    if (content.torn) {
      log.info("repaired a torn write at the end of the WAL", { path, offset: content.endOffset });
      await copySegment(fs, path, `${path}.broken`);
    }
    await prepareSegment(fs, path, {
      position: content.endOffset,
      head: new Uint8Array(0),
      zeros: aheadIn(segmentBytes),
      length: segmentBytes,
    });
    const wal = new Wal(options, {
      metadata: content.metadata!,
      segments: all,
      file: await fs.open(path, { write: true, durable: true }),
      position: content.endOffset,
      prepared: content.endOffset + aheadIn(segmentBytes),
      crc: content.crc,
      state: content.state,
      lastIndex: content.lastIndex,
    });
    return { wal, content };
  }

  /** Opens the log behind the newest of its snapshots. One that can't be read, because the crash came as it was noted, was never made. */
  static async openBehind(
    options: WalOptions,
    marks: readonly SnapshotMark[],
  ): Promise<{ readonly wal: Wal; readonly content: WalContent; readonly mark: SnapshotMark }> {
    const mark = marks.at(-1) ?? { index: 0, term: 0 };
    try {
      return { ...(await Wal.open(options, mark)), mark };
    } catch (error) {
      const before = marks.at(-2);
      if (!(error instanceof SnapshotNotFound) || before === undefined) throw error;
      return { ...(await Wal.open(options, before)), mark: before };
    }
  }

  /** Bytes since it was opened. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /**
   * Returns when the entries and the state are on disk: at once where that was done on this thread. With `mayBlock` false it never is: other
   * work goes on meanwhile.
   */
  append(entries: readonly Entry[], state: HardState | undefined, mayBlock = true): Promise<void> | undefined {
    const frames = this.#frames;
    let bytes = state === undefined ? 0 : 64;
    for (let i = 0; i < entries.length; i++) bytes += entries[i]!.data.length + 64;
    frames.start(bytes);
    for (let i = 0; i < entries.length; i++) frames.entry(entries[i]!);
    if (entries.length > 0) this.#lastIndex = entries[entries.length - 1]!.index;
    if (state !== undefined) {
      frames.state(state);
      this.#state = state;
    }
    return this.#write(frames.take(), mayBlock);
  }

  /** The mark, and behind it a state that is new: one that takes up a snapshot from another member must not be there without the mark. */
  async saveSnapshot(mark: SnapshotMark, confState: ConfState, state?: HardState): Promise<void> {
    this.#frames.start(256);
    this.#frames.record(RECORD.snapshot, snapshotData(mark, confState));
    if (state !== undefined) {
      this.#frames.state(state);
      this.#state = state;
    }
    // The log goes on behind a snapshot that came from another member: no segment that begins before it may come after its mark.
    this.#lastIndex = Math.max(this.#lastIndex, mark.index);
    await this.#write(this.#frames.take());
  }

  /** Removes the segments that hold nothing after `index`. */
  async release(index: number): Promise<void> {
    const keepFrom = segmentOf(this.#segments, index);
    for (const { name } of this.#segments.splice(0, keepFrom)) {
      await this.#options.fs.remove(`${this.#options.folder}/${name}`);
      this.#options.log.info("purged a WAL segment", { name });
    }
  }

  async close(): Promise<void> {
    await this.#preparing?.catch(() => {}); // Room that could not be had is no loss now.
    const next = await this.#next?.catch(() => undefined);
    if (next !== undefined) await this.#options.fs.remove(next);
    await this.#file.close();
  }

  #write(bytes: Uint8Array, mayBlock = true): Promise<void> | undefined {
    const end = this.#position + bytes.length;
    if (end > this.#prepared || end > this.#segmentBytes) return this.#writeSlowly(bytes);
    if (!mayBlock || bytes.length > SYNCHRONOUS_BYTES) return this.#writeElsewhere(bytes);
    const probes = this.#isSlow && --this.#untilProbe === 0;
    if (this.#isSlow && !probes) return this.#writeElsewhere(bytes);
    const { walBeforeSync, walAfterSync } = this.#failpoints;
    if (walBeforeSync !== undefined) walBeforeSync.strike();
    const started = this.#options.monotonic();
    this.#file.writeSync(this.#position, [bytes]);
    if (walAfterSync !== undefined) walAfterSync.strike();
    const ms = this.#wrote(bytes.length, started);
    if (probes) {
      this.#untilProbe = PROBE_WRITES;
      this.#judge(ms <= SYNCHRONOUS_MS ? 0 : WINDOW_WRITES, WINDOW_WRITES);
    } else this.#judge(ms <= SYNCHRONOUS_MS ? 0 : 1, 1);
    this.#lookAhead();
    return undefined;
  }

  async #writeElsewhere(bytes: Uint8Array): Promise<void> {
    this.#failpoints.walBeforeSync?.strike();
    const started = this.#options.monotonic();
    await this.#file.write(this.#position, [bytes]);
    this.#failpoints.walAfterSync?.strike();
    const ms = this.#wrote(bytes.length, started);
    if (this.#isSlow) this.#judge(ms <= SYNCHRONOUS_MS ? 0 : 1, 1);
    this.#lookAhead();
  }

  #judge(slow: number, writes: number): void {
    this.#slowWrites += slow;
    this.#windowWrites += writes;
    if (this.#windowWrites < WINDOW_WRITES) return;
    this.#isSlow = this.#slowWrites > this.#windowWrites / 2;
    this.#slowWrites = 0;
    this.#windowWrites = 0;
  }

  /** What fails here, the write that needs it meets again. */
  #lookAhead(): void {
    const missing = this.#position + this.#ahead - this.#prepared;
    if (missing >= Math.min(PIECE_BYTES, this.#ahead / 2) && this.#prepared < this.#segmentBytes)
      void this.#prepare(missing).catch(() => {}); // The write that needs the room fails by itself.
    if (this.#position > this.#segmentBytes / 2 && this.#next === undefined) {
      this.#next = this.#prepareNext();
      this.#next.catch(() => {}); // Told by the cut that awaits it.
    }
  }

  async #writeSlowly(bytes: Uint8Array): Promise<void> {
    await this.#preparing?.catch(() => {});
    const missing = this.#position + bytes.length - this.#prepared;
    if (missing > 0) await this.#prepare(missing + this.#ahead);
    await this.#writeElsewhere(bytes);
    if (this.#position > this.#segmentBytes) await this.#cut();
  }

  #wrote(length: number, started: number): number {
    this.#position += length;
    this.#writtenBytes += length;
    const ms = this.#options.monotonic() - started;
    if (ms > 1000) this.#options.log.info("slow fdatasync", { took: ms, "expected-duration": 1000 });
    this.#options.onWrite?.(ms, length);
    return ms;
  }

  /** Puts zeros behind what is prepared. Never behind the position alone: records beyond it would be lost. */
  async #prepare(bytes: number): Promise<void> {
    if (this.#preparing !== undefined) return this.#preparing;
    const most = bytes >= LARGE_PIECE_BYTES ? LARGE_PIECE_BYTES : PIECE_BYTES;
    const run = async () => {
      for (let left = bytes; left > 0;) {
        const piece = Math.min(left, most);
        await this.#file.write(this.#prepared, [new Uint8Array(piece)]);
        this.#prepared += piece;
        left -= piece;
      }
    };
    this.#preparing = run().finally(() => {
      this.#preparing = undefined;
    });
    await this.#preparing;
  }

  /** Two names take turns, as upstream's do: the file before may still bear the other. */
  async #prepareNext(): Promise<string> {
    const { fs, folder } = this.#options;
    const path = `${folder}/${(this.#segments.at(-1)!.sequence + 1) % 2}.tmp`;
    const head = new Uint8Array(0);
    await fs.remove(path);
    await prepareSegment(fs, path, { position: 0, head, zeros: this.#ahead, length: this.#segmentBytes });
    return path;
  }

  /**
   * Closes the segment and begins the next. What is written ends the file; the next one gets its head (the checksum so far, whose log it is,
   * the state), and its name only when that is on disk: a crash at any point leaves the old one last, or the new one whole.
   */
  async #cut(): Promise<void> {
    const { fs, folder } = this.#options;
    await this.#preparing?.catch(() => {}); // The file is cut to its length anyway.
    await this.#file.truncate(this.#position);
    await this.#file.sync();
    await this.#file.close();
    const next = await (this.#next?.catch(() => this.#prepareNext()) ?? this.#prepareNext());
    this.#next = undefined;
    const sequence = this.#segments.at(-1)!.sequence + 1;
    const firstIndex = this.#lastIndex + 1;
    const segment: Segment = { name: segmentName(sequence, firstIndex), sequence, firstIndex };
    const frames = this.#frames;
    frames.start(512);
    frames.crcRecord();
    frames.record(RECORD.metadata, this.#metadata);
    if (this.#state !== undefined) frames.state(this.#state);
    const head = frames.take();
    const file = await fs.open(next, { write: true, durable: true });
    await file.write(0, [head]);
    await fs.rename(next, `${folder}/${segment.name}`);
    await fs.syncDir(folder);
    this.#segments.push(segment);
    this.#file = file;
    this.#position = head.length;
    this.#prepared = this.#ahead;
    this.#options.log.info("created a new WAL segment", { name: segment.name });
  }
}

/** The position of the last segment that holds nothing before the entry after `index`, nor the mark of a snapshot there. */
function segmentOf(segments: readonly Segment[], index: number): number {
  return Math.max(
    0,
    segments.findLastIndex(({ firstIndex }) => firstIndex <= index),
  );
}

/** The only place that knows the names of WAL files: sequence and first index, in hexadecimal. */
function segmentName(sequence: number, index: number): string {
  const hex = (value: number) => value.toString(16).padStart(16, "0");
  return `${hex(sequence)}-${hex(index)}.wal`;
}

async function segmentsIn(fs: Fs, folder: string): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const name of await fs.list(folder)) {
    const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
    if (match !== null)
      segments.push({ name, sequence: Number.parseInt(match[1]!, 16), firstIndex: Number.parseInt(match[2]!, 16) });
  }
  for (const [i, segment] of segments.entries()) {
    const before = segments[i - 1];
    if (before !== undefined && segment.sequence !== before.sequence + 1)
      throw new WalDamage(`wal: ${folder}/${before.name} is followed by ${segment.name}: a file is missing`);
  }
  return segments;
}

function snapshotData({ index, term }: SnapshotMark, confState?: ConfState): Uint8Array {
  const data = [0x08, ...varintBytes(index), 0x10, ...varintBytes(term)];
  if (confState !== undefined) {
    const { voters, learners, votersOutgoing, learnersNext, autoLeave } = confState;
    const state: number[] = [];
    for (const [number, ids] of [voters, learners, votersOutgoing, learnersNext].entries())
      for (const id of ids) state.push(((number + 1) << 3) | 0, ...varintBytes(id));
    state.push(0x28, autoLeave ? 1 : 0); // Always written.
    data.push(0x1a, ...varintBytes(state.length), ...state);
  }
  return Uint8Array.from(data);
}

function parentOf(path: string): string {
  const cut = path.lastIndexOf("/");
  assert(cut !== -1, `${path} has no parent folder`);
  return cut === 0 ? "/" : path.slice(0, cut);
}
