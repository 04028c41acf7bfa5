/**
 * A member's log as it is on disk: every record in order, including those that later ones overwrote, with all fields of its protobuf message.
 * Upstream: tools/etcd-dump-logs/raw.go
 */
import { Metadata, RaftpbEntry, RaftpbHardState, WalpbSnapshot } from "../../protocols/etcd/generated.ts";
import { compactText } from "../../wire/rpc/compact-text.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import type { MessageType } from "../../wire/rpc/service.ts";
import type { Fs } from "../../world/fs.ts";
import { crc32c } from "../wal/crc32c.ts";
import { readFields, RECORD } from "../wal/record.ts";
import { frameAt, readSegment } from "../wal/segment-file.ts";

export interface DumpRawOptions {
  readonly walDir: string;
  /** Entries, snapshots and commit indexes before this are left out. */
  readonly startIndex: number | undefined;
  /** Told what is wrong, and is no end. */
  readonly warn: (line: string) => void;
}

/** Gives the text piece by piece. */
export async function* dumpRaw(fs: Fs, codec: Codec, options: DumpRawOptions): AsyncGenerator<string> {
  const { walDir, warn } = options;
  let crc = 0;
  // One mismatch makes all behind it mismatch.
  let isInSync = true;
  for (const name of (await fs.list(walDir)).toSorted()) {
    if (!name.endsWith(".wal")) {
      warn(`Warning: Ignoring not .wal file: ${name}`);
      continue;
    }
    const bytes = await readSegment(fs, `${walDir}/${name}`);
    for (let at = 0; at + 8 <= bytes.length;) {
      const { recordLength, padding } = frameAt(bytes, at);
      if (recordLength === 0) break;
      const end = at + 8 + recordLength;
      if (end > bytes.length) {
        yield "ErrUnexpectedEOF: The last record might be corrupted, error: unexpected EOF.\n";
        return;
      }
      const fields = readFields(bytes.subarray(at + 8, end));
      const type = Number(fields.get(1) ?? 0);
      const told = Number(fields.get(2) ?? 0);
      const data = (fields.get(3) as Uint8Array | undefined) ?? new Uint8Array(0);
      if (type === RECORD.crc) {
        crc = told;
        isInSync = true;
      } else {
        crc = crc32c(data, crc);
        if (crc !== told && isInSync) {
          warn(`Error: Reading entry failed with CRC error: wal: crc mismatch in ${name} at offset ${at}`);
          isInSync = false;
        }
      }
      yield recordText(codec, type, told, data, options);
      at = end + padding;
    }
  }
  yield "EOF: All entries were processed.\n";
}

function recordText(
  codec: Codec,
  type: number,
  crc: number,
  data: Uint8Array,
  { startIndex = 0, warn }: DumpRawOptions,
): string {
  const text = <T extends object>(message: MessageType<T>, decoded: T) => compactText(codec.registry, message, decoded);
  switch (type) {
    case RECORD.metadata:
      return `Metadata: ${text(Metadata, codec.decode(Metadata, data))}\n`;
    case RECORD.crc:
      return `CRC: ${crc}\n`;
    case RECORD.entry: {
      const entry = codec.decode(RaftpbEntry, data);
      if ((entry.Index ?? 0) < startIndex) return "";
      // Written, and empty.
      const isEmpty = entry.Data?.length === 0 && readFields(data).has(4);
      return `Entry: ${text(RaftpbEntry, entry)}${isEmpty ? 'Data:"" ' : ""}\n`;
    }
    case RECORD.snapshot: {
      const snapshot = codec.decode(WalpbSnapshot, data);
      return (snapshot.index ?? 0) < startIndex ? "" : `Snapshot: ${text(WalpbSnapshot, snapshot)}\n`;
    }
    case RECORD.state: {
      const state = codec.decode(RaftpbHardState, data);
      return (state.commit ?? 0) < startIndex ? "" : `HardState: ${text(RaftpbHardState, state)}\n`;
    }
    default:
      warn(`Unexpected WAL log type: ${type}`);
      return "";
  }
}
