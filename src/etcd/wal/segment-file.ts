/**
 * A segment file. Like upstream's, it has a nominal size of 64 MB from the beginning, while disk space is allocated only for what is written. Zeros
 * are written a piece ahead of the records, so that records neither grow the file nor move its blocks.
 * Upstream: client/pkg/fileutil/preallocate.go, server/storage/wal/repair.go
 */
import type { Fs } from "../../world/fs.ts";

const BLOCK_BYTES = 1024 * 1024;
/** No write is as long as so many blocks. */
const EMPTY_BLOCKS = 8;

/** A new segment, or a last one whose end is known: `head` at `position`, zeros behind it, and the whole length. */
export async function prepareSegment(
  fs: Fs,
  path: string,
  { position, head, zeros, length }: { position: number; head: Uint8Array; zeros: number; length: number },
): Promise<void> {
  await using file = await fs.open(path, { write: true, create: true, mode: 0o600 });
  // First cut off: behind the last good record may lie parts of a write that never ended, and later records would run into them.
  await file.truncate(position);
  await file.write(position, [head, new Uint8Array(Math.max(0, zeros - head.length))]);
  if (length > position + Math.max(zeros, head.length)) await file.truncate(length);
  await file.sync();
}

/** The part of a segment that has records in it: up to the first frame without length, or all where the last one doesn't fit. */
export async function readSegment(fs: Fs, path: string): Promise<Uint8Array> {
  await using file = await fs.open(path, {});
  const size = await file.size();
  const blocks: Uint8Array[] = [];
  let loaded = 0;
  const load = async (end: number) => {
    while (loaded < Math.min(end, size)) {
      // More than a block at once where records are many.
      const wanted = Math.max(BLOCK_BYTES, Math.ceil(Math.min(end - loaded, loaded) / BLOCK_BYTES) * BLOCK_BYTES);
      const block = await file.read(loaded, Math.min(wanted, size - loaded));
      for (let at = 0; at < block.length; at += BLOCK_BYTES) blocks.push(block.subarray(at, at + BLOCK_BYTES));
      loaded += block.length;
    }
  };
  for (let at = 0; at + 8 <= size;) {
    await load(at + 8);
    const frame = frameAt(wordAt(blocks, at), 0);
    if (frame.recordLength === 0 && frame.padding === 0) break;
    const end = at + 8 + frame.recordLength + frame.padding;
    await load(end > loaded ? Math.max(end, loaded * 2) : end);
    if (end > size) break;
    at = end;
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks, loaded);
}

/** The eight bytes at a place: of one block, but where damage has brought a frame to an odd place. */
function wordAt(blocks: readonly Uint8Array[], at: number): Uint8Array {
  const block = blocks[Math.floor(at / BLOCK_BYTES)]!;
  const from = at % BLOCK_BYTES;
  if (from + 8 <= block.length) return block.subarray(from, from + 8);
  return Uint8Array.from({ length: 8 }, (_, i) => blocks[Math.floor((at + i) / BLOCK_BYTES)]![(at + i) % BLOCK_BYTES]!);
}

/** The word before each record: its length in 56 bits, and in the top byte how many zeros follow it. */
export function frameAt(bytes: Uint8Array, at: number): { readonly recordLength: number; readonly padding: number } {
  const low = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  const high = bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16);
  const top = bytes[at + 7]!;
  return { recordLength: low + high * 2 ** 32, padding: top & 0x80 ? top & 7 : 0 };
}

/** Keeps a damaged file beside the repaired one, up to where there is nothing but the zeros that nobody wrote over yet. */
export async function copySegment(fs: Fs, from: string, to: string): Promise<void> {
  await using source = await fs.open(from, {});
  await using target = await fs.open(to, { write: true, create: true, truncate: true, mode: 0o600 });
  const size = await source.size();
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0, empty = 0; at < size && empty < EMPTY_BLOCKS; at += BLOCK_BYTES) {
    const block = await source.read(at, Math.min(BLOCK_BYTES, size - at));
    empty = zeros.subarray(0, block.length).equals(block) ? empty + 1 : 0;
    if (empty === 0) await target.write(at, [block]);
  }
  await target.truncate(size);
  await target.sync();
}
