/**
 * Requests and answers as plain data: a sequence of them is printed, shrunk and repeated as JSON. Bytes are text of one character each, and what
 * differs between two servers has a name: a lease by the order in which it was granted, a revision by how far it lies back.
 */
import { assert } from "../../base/assert.ts";
import { crc32 } from "node:zlib";
import { messages } from "../../protocols/etcd/generated.ts";
import type { MessageField, MessageType } from "../../wire/rpc/service.ts";

export type Plain = string | number | boolean | readonly Plain[] | PlainRecord;
export interface PlainRecord {
  readonly [name: string]: Plain;
}

/** What a name in a request stands for. */
export interface Meanings {
  /** `{ back: n }`: so many revisions before the present one. */
  readonly revision: number;
  /** `{ granted: n }`: the id that the server chose for the nth lease without one; `{ granted: n, under: "a" }`: the key `a/ID`. */
  lease(number: number): bigint;
  /** `{ member: n }`: the nth member of the cluster. */
  member(number: number): bigint;
}

export function toMessage(type: MessageType<unknown>, plain: PlainRecord, meanings: Meanings): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(plain).map(([name, value]) => {
      const field = type.fields.find((field) => field.name === name);
      assert(field !== undefined, `${type.name} has no ${name}`);
      const one = (item: Plain) => toField(field, item, meanings);
      return [name, Array.isArray(value) ? value.map(one) : one(value)];
    }),
  );
}

function toField(field: MessageField, value: Plain, meanings: Meanings): unknown {
  if (typeof value === "object" && !Array.isArray(value)) {
    const record = value as PlainRecord;
    if ("back" in record) return Math.max(1, meanings.revision - Number(record["back"]));
    if ("granted" in record) {
      const id = meanings.lease(Number(record["granted"]));
      // The key that a lock or an election gives to the lease.
      return field.type === "bytes" ? Buffer.from(`${String(record["under"])}/${id.toString(16)}`) : id;
    }
    if ("member" in record) return meanings.member(Number(record["member"]));
    if ("bytes" in record) return Buffer.alloc(Number(record["bytes"]), "x");
    const type = messages[field.type];
    assert(type !== undefined, `${field.name} is no message`);
    return toMessage(type, record, meanings);
  }
  if (field.type === "bytes") return Buffer.from(String(value), "latin1");
  return field.big ? BigInt(value as number) : value;
}

/** Of the header: whether it is there. */
const OF_THE_SERVER: ReadonlySet<string> = new Set(["cluster_id", "member_id", "raft_term"]);

/** `names` has those ids that stand for something, `own` the words that each server has for itself. */
export function toPlain(value: unknown, names: ReadonlyMap<bigint, string>, own: ReadonlyMap<string, string>): Plain {
  if (value instanceof Uint8Array) {
    if (value.length > 200) return `${value.length} bytes of ${crc32(value)}`;
    const text = Buffer.from(value).toString("latin1");
    // Locks and elections have keys that end with a lease.
    const hex = /^(.*\/)([0-9a-f]{9,16})$/.exec(text);
    return hex === null ? text : `${hex[1]}${names.get(BigInt(`0x${hex[2]}`)) ?? hex[2]}`;
  }
  if (typeof value === "bigint") return names.get(value) ?? String(value);
  if (typeof value === "string") return own.get(value) ?? value;
  if (Array.isArray(value)) return value.map((item) => toPlain(item, names, own));
  if (typeof value !== "object" || value === null) return value as Plain;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([name, item]) => [name, OF_THE_SERVER.has(name) ? Number(item) !== 0 : toPlain(item, names, own)]),
  );
}
