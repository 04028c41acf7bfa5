/**
 * Hand-written codecs for the messages that every response has, and of which large ones have thousands: they take a third of the time of the
 * table-driven codec. A test compares their bytes.
 */
import type { BackwardWriter } from "../../wire/rpc/backward-writer.ts";
import type { WriteByHand } from "../../wire/rpc/codec.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { MvccpbKeyValue, ResponseHeader } from "./generated.ts";

/** For one codec: it remembers whose headers it writes. */
export function writersByHand(): Readonly<Record<string, WriteByHand>> {
  return { "mvccpb.KeyValue": writeKeyValue, "etcdserverpb.ResponseHeader": headerWriter() };
}

function writeKeyValue(kv: Init<MvccpbKeyValue>, writer: BackwardWriter): void {
  const { key, create_revision: created, mod_revision: modified, version, value, lease } = kv;
  if (lease !== undefined && lease !== 0n) {
    writer.big(lease);
    writer.varint32(0x30);
  }
  if (value !== undefined && value.length > 0) {
    writer.bytes(value);
    writer.varint32(value.length);
    writer.varint32(0x2a);
  }
  if (version) {
    writer.int64(version);
    writer.varint32(0x20);
  }
  if (modified) {
    writer.int64(modified);
    writer.varint32(0x18);
  }
  if (created) {
    writer.int64(created);
    writer.varint32(0x10);
  }
  if (key !== undefined && key.length > 0) {
    writer.bytes(key);
    writer.varint32(key.length);
    writer.varint32(0x0a);
  }
}

/** Cluster and member stay the same from one header to the next, and numbers of 64 bits are dear. */
function headerWriter(): WriteByHand {
  let cluster: bigint | undefined;
  let member: bigint | undefined;
  let ids = new Uint8Array(0);
  return ({ cluster_id, member_id, revision, raft_term }: Init<ResponseHeader>, writer: BackwardWriter) => {
    if (raft_term) {
      writer.int64(raft_term);
      writer.varint32(0x20);
    }
    if (revision) {
      writer.int64(revision);
      writer.varint32(0x18);
    }
    if (cluster_id === cluster && member_id === member) return writer.bytes(ids);
    const before = writer.length;
    if (member_id !== undefined && member_id !== 0n) {
      writer.big(member_id);
      writer.varint32(0x10);
    }
    if (cluster_id !== undefined && cluster_id !== 0n) {
      writer.big(cluster_id);
      writer.varint32(0x08);
    }
    ids = writer.last(writer.length - before);
    [cluster, member] = [cluster_id, member_id];
  };
}
