/**
 * Membership changes: how they are encoded in an entry, and whether they take effect at once or through a joint configuration.
 * Upstream: raftpb/confchange.go, raftpb/raft.proto
 */
import { InvariantError } from "../base/assert.ts";
import type { ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, EntryType } from "./types.ts";

const TYPES: readonly ConfChangeType[] = [
  "ConfChangeAddNode",
  "ConfChangeRemoveNode",
  "ConfChangeUpdateNode",
  "ConfChangeAddLearnerNode",
];

const TRANSITIONS: readonly ConfChangeTransition[] = [
  "ConfChangeTransitionAuto",
  "ConfChangeTransitionJointImplicit",
  "ConfChangeTransitionJointExplicit",
];

const NO_BYTES = new Uint8Array(0);

/** A change without changes ends a joint configuration. */
export function leavesJoint(change: ConfChange): boolean {
  return change.transition === "ConfChangeTransitionAuto" && change.changes.length === 0;
}

/** Whether a change goes through a joint configuration, and if so, whether that ends by itself. */
export function entersJoint(change: ConfChange): "no" | "auto-leave" | "stay" {
  if (change.transition === "ConfChangeTransitionAuto") return change.changes.length > 1 ? "auto-leave" : "no";
  return change.transition === "ConfChangeTransitionJointImplicit" ? "auto-leave" : "stay";
}

/** An entry's data. The first form has room for one change and no transition; it is what etcd writes. */
export function encodeConfChange(change: ConfChange, form: 1 | 2): Uint8Array {
  const out: number[] = [];
  if (form === 1) {
    const [single, ...others] = change.changes;
    if (single === undefined || others.length > 0 || change.transition !== "ConfChangeTransitionAuto")
      throw new InvariantError("v1 conf change can only have one operation and no transition");
    if (change.id !== undefined) putNumber(out, 1, change.id);
    putNumber(out, 2, BigInt(TYPES.indexOf(single.type)));
    putNumber(out, 3, single.nodeId);
    if (change.context.length > 0) putBytes(out, 4, change.context);
    return Uint8Array.from(out);
  }
  if (change.transition !== "ConfChangeTransitionAuto")
    putNumber(out, 1, BigInt(TRANSITIONS.indexOf(change.transition)));
  for (const { type, nodeId } of change.changes) {
    const single: number[] = [];
    putNumber(single, 1, BigInt(TYPES.indexOf(type)));
    putNumber(single, 2, nodeId);
    putBytes(out, 2, single);
  }
  if (change.context.length > 0) putBytes(out, 3, change.context);
  return Uint8Array.from(out);
}

/** Reads the data of an entry that changes members, in either form. Throws where it isn't one. */
export function decodeConfChange(type: EntryType, data: Uint8Array): ConfChange {
  if (type === 1) {
    const fields = readFields(data);
    return {
      id: fields.number(1),
      transition: "ConfChangeTransitionAuto",
      changes: [{ type: typeOf(fields.number(2)), nodeId: fields.number(3) }],
      context: fields.bytes(4).at(-1) ?? NO_BYTES,
    };
  }
  const fields = readFields(data);
  const transition = TRANSITIONS[Number(fields.number(1))];
  if (transition === undefined) throw new Error(`unknown transition: ${fields.number(1)}`);
  return {
    transition,
    changes: fields.bytes(2).map((bytes): ConfChangeSingle => {
      const single = readFields(bytes);
      return { type: typeOf(single.number(1)), nodeId: single.number(2) };
    }),
    context: fields.bytes(3).at(-1) ?? NO_BYTES,
  };
}

function typeOf(number: bigint): ConfChangeType {
  const type = TYPES[Number(number)];
  if (type === undefined) throw new Error(`unexpected conf type ${number}`);
  return type;
}

/*
 * As much of protobuf as these two messages need; this folder can't import a codec, and a change of members is rare.
 */

function putVarint(out: number[], value: bigint): void {
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
}

function putNumber(out: number[], field: number, value: bigint): void {
  out.push(field << 3);
  putVarint(out, value);
}

function putBytes(out: number[], field: number, bytes: ArrayLike<number>): void {
  out.push((field << 3) | 2);
  putVarint(out, BigInt(bytes.length));
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]!);
}

interface Fields {
  /** The last value given, or 0. */
  number(field: number): bigint;
  bytes(field: number): readonly Uint8Array[];
}

function readFields(data: Uint8Array): Fields {
  const numbers = new Map<number, bigint>();
  const bytes = new Map<number, Uint8Array[]>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = data[at++];
      if (byte === undefined) throw new Error("unexpected EOF");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error("proto: integer overflow");
  };
  const skip = (count: number) => {
    if (count > data.length - at) throw new Error("unexpected EOF");
    at += count;
    return data.subarray(at - count, at);
  };
  while (at < data.length) {
    const tag = Number(varint());
    const field = tag >>> 3;
    switch (tag & 7) {
      case 0:
        numbers.set(field, varint());
        break;
      case 1:
        skip(8);
        break;
      case 2:
        bytes.set(field, [...(bytes.get(field) ?? []), skip(Number(varint()))]);
        break;
      case 5:
        skip(4);
        break;
      default:
        throw new Error(`proto: illegal wireType ${tag & 7}`);
    }
  }
  return { number: (field) => numbers.get(field) ?? 0n, bytes: (field) => bytes.get(field) ?? [] };
}
