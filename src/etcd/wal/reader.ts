/**
 * Reads WAL files and verifies every checksum. A write that a crash cut off can only be the last one in the last file: there it is recognized
 * (`torn`), and everything before it is valid. Damage anywhere else is not due to a crash, and fails with file and offset.
 * Upstream: server/storage/wal/decoder.go, wal.go (ReadAll)
 */
import { crc32c } from "./crc32c.ts";
import type { Entry, HardState } from "../../raft/types.ts";
import { readEntry, readFields, readState, RECORD } from "./record.ts";
import { frameAt } from "./segment-file.ts";

export interface SnapshotMark {
  readonly index: number;
  readonly term: number;
}

export interface WalContent {
  readonly metadata: Uint8Array | undefined;
  readonly state: HardState | undefined;
  /** In order of index, without gaps; a later record of the same index has replaced the earlier and all behind it. */
  readonly entries: Entry[];
  readonly snapshots: readonly SnapshotMark[];
  /** Of the last entry that was written. It isn't the last of `entries` where a leader's log was shorter than what it replaced. */
  readonly lastIndex: number;
  /** The checksum so far: what the next record carries on from. */
  readonly crc: number;
  /** Where the last good record of the last file ends. */
  readonly endOffset: number;
  /** The last file ends in a write that was cut off. */
  readonly torn: boolean;
}

export class WalDamage extends Error {
  override readonly name = "WalDamage";
}

/** The log knows nothing of the snapshot that it was to be read behind. */
export class SnapshotNotFound extends WalDamage {}

/** A frame can't be longer: a request is at most 1.5 MiB, with room for what upstream's flags may allow. */
const FRAME_MAX_BYTES = 256 * 1024 * 1024;
/** Disks write whole sectors, so a cut-off write leaves a sector of the zeros that were there before. */
const SECTOR_BYTES = 512;
const ZEROS = Buffer.alloc(4096);
/** Type, checksum and length: what is shorter tells nothing of itself. */
const HEADER_BYTES = 16;

/** `files` are all those from the one that holds the entry after `after` on, in order. */
export function readWal(
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  after: number,
): WalContent {
  let metadata: Uint8Array | undefined;
  let state: HardState | undefined;
  const entries: Entry[] = [];
  const snapshots: SnapshotMark[] = [];
  let crc = 0;
  let offset = 0;
  let torn = false;
  let lastIndex = after;

  for (const [number, { name, bytes }] of files.entries()) {
    const last = number === files.length - 1;
    offset = 0;
    while (offset + 8 <= bytes.length) {
      const damage = (what: string): WalDamage => new WalDamage(`wal: ${what} in ${name} at offset ${offset}`);
      const { recordLength, padding } = frameAt(bytes, offset);
      const from = offset + 8;
      if (recordLength === 0 && padding === 0) {
        // The zeros that the file was prepared with. Behind them is nothing, but for the rest of a write that was cut off.
        if (!last || isZero(bytes, from, bytes.length)) break;
        if (!isZero(bytes, from, sectorEnd(offset)) || isWhole(bytes, from, crc))
          throw damage("a record without length");
        torn = true;
        break;
      }
      if (recordLength > FRAME_MAX_BYTES || from + recordLength + padding > bytes.length) {
        // The length may be what is damaged: then the record is there, and maybe others behind it. A file that ends inside of its last
        // record lost that end: frame and record agree on where it would be.
        const isCutShort = bytes.length - from < HEADER_BYTES || header(bytes, from)?.end === from + recordLength;
        if (!last || isWhole(bytes, from, crc) || !(isCutShort || hasZeroSector(bytes, from, endOfRecord(bytes, from))))
          throw damage("unexpected end");
        torn = true;
        break;
      }
      const record = bytes.subarray(from, from + recordLength);
      let fields: ReturnType<typeof readFields> | undefined;
      try {
        fields = readFields(record);
      } catch {
        // Told below.
      }
      const type = Number(fields?.get(1) ?? 0);
      const wanted = Number(fields?.get(2) ?? 0);
      const data = (fields?.get(3) as Uint8Array | undefined) ?? new Uint8Array(0);
      const next = fields === undefined || type === RECORD.crc ? crc : crc32c(data, crc);
      if (fields === undefined || (type !== RECORD.crc && next !== wanted)) {
        const end = Math.min(from + recordLength, endOfRecord(bytes, from));
        if (last && !isWhole(bytes, from, crc) && hasZeroSector(bytes, from, end)) {
          torn = true;
          break;
        }
        throw damage(fields === undefined ? "record is not readable" : "crc mismatch");
      }
      // A length that is damaged may take in what follows, and its checksum is right all the same.
      const end = type === RECORD.crc ? undefined : ownWords(bytes, from)?.end;
      if (type === RECORD.crc ? recordLength > HEADER_BYTES : end !== from + recordLength)
        throw damage("a record with a wrong length");
      // The one thing that no checksum covers, and where the next record begins.
      if (padding !== (8 - (recordLength % 8)) % 8) throw damage("a record with wrong padding");
      switch (type) {
        case RECORD.metadata:
          if (metadata !== undefined && !equal(metadata, data)) throw damage("conflicting metadata found");
          metadata = data;
          break;
        case RECORD.entry: {
          const entry = readEntry(data);
          lastIndex = entry.index;
          if (entry.index <= after) break;
          if (entry.index > after + entries.length + 1) throw damage(`entry ${entry.index} comes too early, a gap`);
          // What no checksum covers is the type: a state that is read as an entry would cut the log.
          if (entry.index <= (state?.commit ?? 0)) throw damage(`entry ${entry.index} comes after it was committed`);
          // Another leader's entry takes the place of one that nobody committed: of a later term, or, as a later leader has kept it, of an earlier one.
          const replaced = entries[entry.index - after - 1];
          if (replaced !== undefined && entry.term === replaced.term && !equal(entry.data, replaced.data))
            throw damage(`entry ${entry.index} is there twice in one term`);
          entries.length = entry.index - after - 1;
          if (entry.term < (entries.at(-1)?.term ?? 0)) throw damage(`entry ${entry.index} is of an earlier term`);
          entries.push(entry);
          break;
        }
        case RECORD.state: {
          const next = readState(data);
          if (next.term < (state?.term ?? 0)) throw damage("a state of an earlier term");
          state = next;
          break;
        }
        case RECORD.crc:
          if (crc !== 0 && crc !== wanted) throw damage("crc mismatch");
          crc = wanted;
          break;
        case RECORD.snapshot: {
          const mark = readFields(data);
          snapshots.push({ index: Number(mark.get(1) ?? 0), term: Number(mark.get(2) ?? 0) });
          break;
        }
        default:
          throw damage(`unexpected record type ${type}`);
      }
      if (type !== RECORD.crc) crc = next;
      offset = from + recordLength + padding;
    }
  }
  return {
    metadata,
    state,
    entries,
    snapshots,
    // A snapshot that came from another member may be ahead of all that was written.
    lastIndex: Math.max(lastIndex, after),
    crc,
    endOffset: offset,
    torn,
  };
}

/**
 * The snapshots that a file knows of, and the last that it says of what is committed. Only what is started from is checked in full, by `readWal`; here
 * damage just ends the search.
 */
export function readMarks(bytes: Uint8Array): { readonly marks: readonly SnapshotMark[]; readonly commit: number } {
  const marks: SnapshotMark[] = [];
  let state: Uint8Array | undefined;
  for (let offset = 0; offset + 8 <= bytes.length;) {
    const { recordLength, padding } = frameAt(bytes, offset);
    const end = offset + 8 + recordLength;
    if (recordLength === 0 || end > bytes.length) break;
    const type = bytes[offset + 8] === 0x08 ? bytes[offset + 9] : undefined;
    if (type === RECORD.state) state = bytes.subarray(offset + 8, end);
    if (type === RECORD.snapshot) {
      const mark = fieldsOf(bytes.subarray(offset + 8, end));
      if (mark === undefined) break;
      marks.push({ index: Number(mark.get(1) ?? 0), term: Number(mark.get(2) ?? 0) });
    }
    offset = end + padding;
  }
  return { marks, commit: Number((state && fieldsOf(state))?.get(3) ?? 0) };
}

/** Of what is in a record; undefined where it is damaged. */
function fieldsOf(record: Uint8Array): ReturnType<typeof readFields> | undefined {
  try {
    const data = readFields(record).get(3);
    return readFields(data instanceof Uint8Array ? data : new Uint8Array(0));
  } catch {
    return undefined;
  }
}

function hasZeroSector(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at = sectorEnd(at)) if (isZero(bytes, at, Math.min(to, sectorEnd(at)))) return true;
  return false;
}

const sectorEnd = (at: number) => at + SECTOR_BYTES - (at % SECTOR_BYTES);

/** Most of a prepared file is zeros, so they are looked at in pieces. */
function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  const end = Math.min(to, bytes.length);
  for (let at = from; at < end; at += ZEROS.length) {
    const size = Math.min(ZEROS.length, end - at);
    if (ZEROS.compare(bytes, at, at + size, 0, size) !== 0) return false;
  }
  return true;
}

/** A record as its own fields tell it, whatever the frame before it says; `end` may lie behind the end of the file. */
function header(bytes: Uint8Array, from: number): { at: number; end: number; crc: number } | undefined {
  let at = from;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length && scale < 2 ** 36; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return NaN;
  };
  if (bytes[at++] !== 0x08 || !((bytes[at] ?? 0) >= RECORD.metadata && bytes[at]! <= RECORD.snapshot)) return undefined;
  at++;
  if (bytes[at++] !== 0x10) return undefined;
  const crc = varint();
  if (bytes[at++] !== 0x1a) return undefined;
  const length = varint();
  return Number.isNaN(crc + length) ? undefined : { at, end: at + length, crc };
}

/** The record, where all of it is there. */
function ownWords(bytes: Uint8Array, from: number): { end: number; crc: number; data: Uint8Array } | undefined {
  const found = header(bytes, from);
  if (found === undefined || found.end > bytes.length) return undefined;
  return { end: found.end, crc: found.crc, data: bytes.subarray(found.at, found.end) };
}

function isWhole(bytes: Uint8Array, from: number, crc: number): boolean {
  const record = ownWords(bytes, from);
  return record !== undefined && crc32c(record.data, crc) === record.crc;
}

/** Where a record ends whose frame is not to be believed: by its own words, or where the next one begins if that is earlier. */
function endOfRecord(bytes: Uint8Array, from: number): number {
  const end = ownWords(bytes, from)?.end ?? bytes.length;
  for (let at = from; at + 8 < end; at += 8) {
    const { recordLength } = frameAt(bytes, at);
    if (recordLength > 0 && ownWords(bytes, at + 8)?.end === at + 8 + recordLength) return at;
  }
  return end;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
